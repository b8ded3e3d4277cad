/**
 * The methods of a service as callers in the same process see them: no wire, messages completed as a codec would, and a `Call` of their own, so that a
 * handler does not know the difference. The aspects of the service surround them; those of the server do not.
 */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type CallShape, type Kind } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { complete, type Handler, type Sink } from "./Handler.ts"
import * as Inspected from "./Inspected.ts"
import * as Method from "./Method.ts"

/** A method of the shape of its kind. */
export const make = (
  method: DescMethod,
  handler: Handler,
  context: Context.Context<never>,
  aspects: Aspect.Aspect<unknown, unknown> | undefined
): unknown => {
  const { input, output } = method
  const around = aspects === undefined ? undefined : Aspect.forMethod(aspects, Method.of("server", method))
  const request = (init: object): Message => complete(input, init)
  const one = (call: () => LocalCall, run: (call: LocalCall) => Effect.Effect<object, unknown>) =>
    provide(
      context,
      call,
      withCall((call) => {
        const effect = Effect.map(
          Effect.suspend(() => run(call)),
          (reply) => complete(output, reply)
        )
        // what the aspects add to errors and needs is in the type of the layer
        return around === undefined ? effect : (around(effect) as typeof effect)
      })
    )
  const many = (call: () => LocalCall, run: (call: LocalCall) => Stream.Stream<object, unknown>) => {
    const replies = (call: LocalCall) =>
      Stream.map(
        Stream.suspend(() => run(call)),
        (reply) => complete(output, reply)
      )
    const stream =
      around === undefined
        ? Stream.unwrap(withCall((call) => Effect.succeed(replies(call))))
        : // an aspect surrounds an effect: the one that produces the replies
          Stream.callback<Message, unknown>(
            (queue) =>
              withCall((call) => {
                call.sink = {
                  write: (batch) =>
                    Effect.asVoid(
                      Queue.offerAll(
                        queue,
                        batch.map((reply) => complete(output, reply))
                      )
                    )
                }
                const effect = Effect.suspend(() => Stream.runForEachArray(replies(call), call.sink!.write))
                return (around(effect) as typeof effect).pipe(
                  Effect.matchCauseEffect({
                    onFailure: (cause) => Queue.failCause(queue, cause),
                    onSuccess: () => Queue.end(queue)
                  })
                )
              }),
            { bufferSize: BUFFER }
          )
    return Stream.updateContext(stream, (caller: Context.Context<never>) => contextOf(caller, context, call()))
  }
  switch (handler.kind) {
    case "unary":
      return (init: object) =>
        one(
          () => new LocalCall(method, request(init), Stream.empty),
          (call) => handler.run(call.message!)
        )
    case "server_streaming":
      return (init: object) =>
        many(
          () => new LocalCall(method, request(init), Stream.empty),
          (call) => handler.run(call.message!)
        )
    case "client_streaming":
      return (inits: Stream.Stream<object, KratosError>) =>
        one(
          () => new LocalCall(method, undefined, Stream.map(inits, request)),
          (call) => handler.run(call.requests)
        )
    case "bidi_streaming":
      return (inits: Stream.Stream<object, KratosError>) =>
        many(
          () => new LocalCall(method, undefined, Stream.map(inits, request)),
          (call) => handler.run(call.requests)
        )
  }
}

/** Replies that may lie between a handler behind aspects and its caller. */
const BUFFER = 16

const provide = <A, E>(context: Context.Context<never>, call: () => LocalCall, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.updateContext(effect, (caller: Context.Context<never>) => contextOf(caller, context, call()))

const contextOf = (caller: Context.Context<never>, context: Context.Context<never>, call: LocalCall): Context.Context<never> => {
  call.deadline = Context.get(caller, Deadline.Current)
  return Context.add(Context.merge(caller, context), Call, call)
}

const withCall = <A, E>(f: (call: LocalCall) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  // `contextOf` is the only one that provides Call here
  Effect.withFiber((fiber) => f(Context.getUnsafe(fiber.context, Call) as unknown as LocalCall))

/** A call that never leaves the process. */
class LocalCall implements CallShape {
  readonly side = "server"
  readonly transport = "local"
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
  readonly peer = ""
  readonly endpoint = "local"
  readonly pathTemplate = undefined
  readonly request = Metadata.make()
  readonly reply = Metadata.make()
  readonly trailers = Metadata.make()
  readonly desc: DescMethod
  readonly message: Message | undefined
  deadline: Deadline.Deadline | undefined = undefined
  requests: Stream.Stream<Message, KratosError>
  sink: Sink | undefined = undefined

  constructor(desc: DescMethod, message: Message | undefined, requests: Stream.Stream<Message, KratosError>) {
    const { kind, method, operation, service } = Method.of("server", desc)
    this.operation = operation
    this.service = service
    this.method = method
    this.kind = kind
    this.desc = desc
    this.message = message
    this.requests = requests
  }

  inspect(check: Inspected.Check): void {
    this.requests = Inspected.stream(this.requests, check)
  }
}
