/** The service of the suite, by the comments in its contract: replies as the first request of a call defines them, and tells what it has seen. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf"
import { type Any, anyPack } from "@bufbuild/protobuf/wkt"
import { Call, type CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as ErrorDetails from "@effect-kratos/transport/ErrorDetails"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_effect.ts"
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  ConformancePayload_RequestInfoSchema,
  type Error as ErrorDefinition,
  type Header,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  type UnaryResponseDefinition,
  UnaryRequestSchema
} from "./gen/connectrpc/conformance/v1/service_pb.ts"

type RequestInfo = MessageInitShape<typeof ConformancePayload_RequestInfoSchema>

/** What is seen of a call: its metadata, what is left of its time, its requests so far. */
const look = (call: CallShape, requests: ReadonlyArray<Any>): Effect.Effect<RequestInfo> =>
  Effect.map(Clock.currentTimeMillis, (now) => ({
    requestHeaders: [...call.request].map(([name, value]) => ({ name, value })),
    ...(call.deadline === undefined ? undefined : { timeoutMs: BigInt(Math.floor(call.deadline - now)) }),
    requests: [...requests]
  }))

const failure = ({ code, details, message }: ErrorDefinition, info?: RequestInfo): KratosError.KratosError =>
  KratosError.fromGrpc(code, message ?? "", {
    details: [
      ...details.map(({ typeUrl, value }) => ({ type: ErrorDetails.ofUrl(typeUrl), value })),
      ...(info === undefined ? [] : [ErrorDetails.pack(ConformancePayload_RequestInfoSchema, info)])
    ]
  })

const setMetadata = (
  call: CallShape,
  definition: { readonly responseHeaders: ReadonlyArray<Header>; readonly responseTrailers: ReadonlyArray<Header> } | undefined
): void => {
  for (const { name, value } of definition?.responseHeaders ?? []) for (const each of value) Metadata.add(call.reply, name, each)
  for (const { name, value } of definition?.responseTrailers ?? []) for (const each of value) Metadata.add(call.trailers, name, each)
}

/** The one reply of the kinds that have one. */
const reply = Effect.fnUntraced(function* (definition: UnaryResponseDefinition | undefined, requests: ReadonlyArray<Any>) {
  const call = yield* Call
  setMetadata(call, definition)
  const requestInfo = yield* look(call, requests)
  if (definition !== undefined && definition.responseDelayMs > 0) yield* Effect.sleep(definition.responseDelayMs)
  const response = definition?.response
  if (response?.case === "error") return yield* failure(response.value, requestInfo)
  return { payload: { data: response?.case === "responseData" ? response.value : new Uint8Array(0), requestInfo } }
})

const unary =
  <D extends DescMessage>(schema: D) =>
  (request: MessageShape<D> & { readonly responseDefinition?: UnaryResponseDefinition | undefined }) =>
    reply(request.responseDefinition, [anyPack(schema, request)])

/** The replies of a stream from one on, and its end. */
const rest = (
  call: CallShape,
  definition: StreamResponseDefinition | undefined,
  from: number,
  requests: ReadonlyArray<Any>
): Stream.Stream<{ readonly payload: { readonly data: Uint8Array; readonly requestInfo?: RequestInfo } }, KratosError.KratosError> => {
  if (definition === undefined) return Stream.empty
  const { error, responseData, responseDelayMs } = definition
  return Stream.fromIterable(responseData.slice(from).entries()).pipe(
    Stream.rechunk(1),
    Stream.mapEffect(([i, data]) =>
      Effect.andThen(
        responseDelayMs > 0 ? Effect.sleep(responseDelayMs) : Effect.void,
        from + i > 0
          ? Effect.succeed({ payload: { data } })
          : Effect.map(look(call, requests), (requestInfo) => ({ payload: { data, requestInfo } }))
      )
    ),
    Stream.concat(
      error === undefined
        ? Stream.empty
        : Stream.fromEffect(
            responseData.length > 0
              ? Effect.fail(failure(error))
              : Effect.flatMap(look(call, requests), (info) => Effect.fail(failure(error, info)))
          )
    )
  )
}

export const ConformanceLive = ConformanceService.layer({
  unary: unary(UnaryRequestSchema),
  idempotentUnary: unary(IdempotentUnaryRequestSchema),
  unimplemented: () => Effect.fail(KratosError.unimplemented("", "not implemented")),
  *clientStream(requests) {
    const all = yield* Stream.runCollect(requests)
    return yield* reply(
      all[0]?.responseDefinition,
      all.map((request) => anyPack(ClientStreamRequestSchema, request))
    )
  },
  serverStream: (request) =>
    Stream.unwrap(
      Effect.map(Call, (call) => {
        setMetadata(call, request.responseDefinition)
        return rest(call, request.responseDefinition, 0, [anyPack(ServerStreamRequestSchema, request)])
      })
    ),
  bidiStream: (requests) =>
    Stream.unwrap(
      Effect.map(Call, (call) => {
        let definition: StreamResponseDefinition | undefined
        let fullDuplex = false
        let count = 0
        let sent = 0
        /** Requests since the last reply. */
        let since: Array<Any> = []
        return requests.pipe(
          Stream.rechunk(1),
          Stream.takeWhile((request) => {
            since.push(anyPack(BidiStreamRequestSchema, request))
            if (count++ === 0) {
              definition = request.responseDefinition
              fullDuplex = request.fullDuplex
              setMetadata(call, definition)
            }
            // a request without a reply of its own ends the conversation
            return !fullDuplex || sent < (definition?.responseData.length ?? 0)
          }),
          Stream.filter(() => fullDuplex),
          Stream.mapEffect(() =>
            Effect.gen(function* () {
              const { responseData, responseDelayMs } = definition! // without one nothing is taken
              const requestInfo: RequestInfo = sent === 0 ? yield* look(call, since) : { requests: since }
              since = []
              if (responseDelayMs > 0) yield* Effect.sleep(responseDelayMs)
              return { payload: { data: responseData[sent++]!, requestInfo } }
            })
          ),
          Stream.concat(Stream.suspend(() => rest(call, definition, sent, since)))
        )
      })
    )
})
