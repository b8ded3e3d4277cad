/** One call as the suite asks for it, and what became of it. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf"
import { AnySchema, anyUnpack } from "@bufbuild/protobuf/wkt"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Status from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as ErrorDetails from "@effect-kratos/transport/ErrorDetails"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Clients from "./Clients.ts"
import { type ClientCompatRequest, ClientResponseResultSchema } from "./gen/connectrpc/conformance/v1/client_compat_pb.ts"
import { StreamType } from "./gen/connectrpc/conformance/v1/config_pb.ts"
import type { ConformanceService } from "./gen/connectrpc/conformance/v1/service_effect.ts"
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  ConformancePayloadSchema,
  type Error as ErrorResult,
  ErrorSchema,
  HeaderSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  UnimplementedRequestSchema
} from "./gen/connectrpc/conformance/v1/service_pb.ts"

type Client = (typeof ConformanceService)["Service"]

/** A call under way. */
interface Progress {
  readonly payloads: Array<ConformancePayload>
  /** Requests that have been taken to be sent. */
  taken: number
  /** Cancels the call, at once. */
  cancel: () => void
}

export const run = Effect.fnUntraced(function* (request: ClientCompatRequest, client: Client) {
  const exchanged: Clients.Exchanged = { headers: request.requestHeaders, reply: Metadata.empty, trailers: Metadata.empty }
  const progress: Progress = { payloads: [], taken: 0, cancel: () => {} }
  const deadline = request.timeoutMs === undefined ? undefined : (yield* Clock.currentTimeMillis) + request.timeoutMs
  const fiber = yield* Effect.forkChild(
    callOf(request, client, progress).pipe(
      Effect.provideService(Clients.Current, exchanged),
      Effect.provideService(Deadline.Current, deadline)
    )
  )
  progress.cancel = () => fiber.interruptUnsafe()
  const exit = yield* Fiber.await(fiber)
  return create(ClientResponseResultSchema, {
    responseHeaders: headersOf(exchanged.reply),
    responseTrailers: headersOf(exchanged.trailers),
    payloads: progress.payloads,
    numUnsentRequests: request.requestMessages.length - progress.taken,
    ...(Exit.isFailure(exit) ? { error: errorOf(exit.cause) } : undefined)
  })
})

const headersOf = (metadata: Metadata.Metadata) => [...metadata].map(([name, value]) => create(HeaderSchema, { name, value: [...value] }))

const errorOf = (cause: Cause.Cause<unknown>): ErrorResult => {
  const error = KratosError.fromCause(cause)
  return create(ErrorSchema, {
    code: Status.grpcCode(error),
    message: error.message,
    details: ErrorDetails.toWire(error).map(({ type, value }) => create(AnySchema, { typeUrl: ErrorDetails.urlOf(type), value }))
  })
}

const callOf = (request: ClientCompatRequest, client: Client, progress: Progress): Effect.Effect<void, unknown> => {
  const keep = ({ payload }: { readonly payload?: ConformancePayload | undefined }) =>
    Effect.sync(() => {
      progress.payloads.push(payload ?? create(ConformancePayloadSchema))
    })
  switch (request.method) {
    case "Unary":
      return Effect.andThen(closed(request, progress), Effect.flatMap(client.unary(only(request, UnaryRequestSchema, progress)), keep))
    case "IdempotentUnary":
      return Effect.flatMap(client.idempotentUnary(only(request, IdempotentUnaryRequestSchema, progress)), keep)
    case "Unimplemented":
      return Effect.asVoid(client.unimplemented(only(request, UnimplementedRequestSchema, progress)))
    case "ServerStream":
      return Effect.andThen(
        closed(request, progress),
        Stream.runForEach(client.serverStream(only(request, ServerStreamRequestSchema, progress)), (reply) =>
          Effect.andThen(keep(reply), received(request, progress))
        )
      )
    case "ClientStream":
      return Effect.flatMap(client.clientStream(requestsOf(request, ClientStreamRequestSchema, progress)), keep)
    case "BidiStream":
      return request.streamType === StreamType.FULL_DUPLEX_BIDI_STREAM
        ? fullDuplex(request, client, progress, keep)
        : Stream.runForEach(client.bidiStream(requestsOf(request, BidiStreamRequestSchema, progress)), (reply) =>
            Effect.andThen(keep(reply), received(request, progress))
          )
    default:
      return Effect.die(new Error(`there is no method ${request.method}`))
  }
}

const messages = <D extends DescMessage>({ requestMessages }: ClientCompatRequest, schema: D): ReadonlyArray<MessageShape<D>> =>
  requestMessages.map((any) => {
    const message = anyUnpack(any, schema)
    if (message === undefined) throw new Error(`expected ${schema.typeName}, got ${any.typeUrl}`)
    return message
  })

const only = <D extends DescMessage>(request: ClientCompatRequest, schema: D, progress: Progress): MessageShape<D> => {
  progress.taken = 1
  return messages(request, schema)[0]!
}

/** The request is complete: it may be time to cancel, a while later. */
const closed = ({ cancel }: ClientCompatRequest, progress: Progress): Effect.Effect<void> => {
  if (cancel === undefined) return Effect.void
  const { cancelTiming } = cancel
  if (cancelTiming.case === "beforeCloseSend" || cancelTiming.case === "afterNumResponses") return Effect.void
  const wait = cancelTiming.case === "afterCloseSendMs" ? cancelTiming.value : 0
  return Effect.asVoid(
    Effect.forkDetach(
      Effect.andThen(
        Effect.sleep(wait),
        Effect.sync(() => progress.cancel())
      )
    )
  )
}

const cancelling = (progress: Progress): Effect.Effect<never> =>
  Effect.andThen(
    Effect.sync(() => progress.cancel()),
    Effect.never
  )

/** A reply has come: it may be the last before the call is cancelled. */
const received = ({ cancel }: ClientCompatRequest, progress: Progress): Effect.Effect<void> =>
  Effect.suspend(() =>
    cancel?.cancelTiming.case === "afterNumResponses" && cancel.cancelTiming.value === progress.payloads.length
      ? cancelling(progress)
      : Effect.void
  )

/** All requests are sent. */
const ending = (request: ClientCompatRequest, progress: Progress): Effect.Effect<void> =>
  request.cancel?.cancelTiming.case === "beforeCloseSend" ? cancelling(progress) : closed(request, progress)

const requestsOf = <D extends DescMessage>(request: ClientCompatRequest, schema: D, progress: Progress): Stream.Stream<MessageShape<D>> =>
  Stream.fromIterable(messages(request, schema)).pipe(
    Stream.rechunk(1),
    Stream.tap(() =>
      Effect.andThen(
        Effect.sleep(request.requestDelayMs),
        Effect.sync(() => progress.taken++)
      )
    ),
    Stream.concat(Stream.fromEffectDrain(Effect.suspend(() => ending(request, progress))))
  )

/** Each request waits for the reply to the one before. */
const fullDuplex = (
  request: ClientCompatRequest,
  client: Client,
  progress: Progress,
  keep: (reply: { readonly payload?: ConformancePayload | undefined }) => Effect.Effect<void>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const requests = yield* Queue.unbounded<MessageShape<typeof BidiStreamRequestSchema>, Cause.Done>()
    const replies = yield* Queue.unbounded<void, unknown>()
    const call = yield* Effect.forkChild(
      Stream.runForEach(client.bidiStream(Stream.fromQueue(requests)), (reply) =>
        Effect.andThen(Effect.andThen(keep(reply), received(request, progress)), Queue.offer(replies, undefined))
      ).pipe(Effect.onExit(() => Queue.shutdown(replies)))
    )
    for (const message of messages(request, BidiStreamRequestSchema)) {
      yield* Effect.sleep(request.requestDelayMs)
      progress.taken++
      yield* Queue.offer(requests, message)
      // without a reply there will be none to the rest either
      if (Exit.isFailure(yield* Effect.exit(Queue.take(replies)))) break
    }
    yield* ending(request, progress)
    yield* Queue.end(requests)
    yield* Fiber.join(call)
  })
