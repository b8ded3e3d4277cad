/** The cases of gRPC's interop test descriptions with our own client, each an effect that fails when the server does not do what they say. */
import * as Deadline from "@effect-kratos/core/Deadline"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Channels from "@effect-kratos/transport/Channels"
import type * as Client from "@effect-kratos/transport/Client"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { aspect, Carried, type Metadatas } from "../Carried.ts"
import { check, hasCode } from "../Check.ts"
import type { SimpleResponse } from "../gen/grpc/testing/messages_pb.ts"
import { TestService, UnimplementedService } from "../gen/grpc/testing/test_effect.ts"
import { OpenRcaService } from "../gen/xds/service/orca/v3/orca_effect.ts"
import { duplex, type DuplexRequest, input, isZeros, large, output, REQUEST, RESPONSE, unary, zeros } from "./Calls.ts"
import * as CompressionCases from "./CompressionCases.ts"
import { orcaOob, orcaPerRpc } from "./LoadCases.ts"

/** Where a server is and how it is reached. */
export interface Server {
  readonly target: string
  readonly tls?: Client.Options["tls"]
}

const outputSizes = [31_415, 9, 2653, 58_979]
const inputSizes = [27_182, 8, 1828, 45_904]

const exchangeOf = (i: number): DuplexRequest => ({ responseParameters: [{ size: outputSizes[i]! }], payload: zeros(inputSizes[i]!) })

/** Sends each request once the reply to the one before it is there; `onReply` says whether to go on. */
const pingPong = (rounds: number) =>
  Effect.gen(function* () {
    const requests = yield* Queue.unbounded<DuplexRequest, Cause.Done>()
    let count = 0
    yield* Queue.offer(requests, exchangeOf(0))
    yield* Stream.runForEach(
      Stream.take(duplex(Stream.fromQueue(requests)), rounds < outputSizes.length ? rounds : Infinity),
      ({ payload }) =>
        Effect.gen(function* () {
          yield* isZeros(payload, outputSizes[count]!)
          count++
          yield* count < outputSizes.length ? Queue.offer(requests, exchangeOf(count)) : Queue.end(requests)
        })
    )
    yield* check(() => assert.equal(count, rounds))
  })

const serverStreaming = Effect.gen(function* () {
  const replies = yield* Stream.runCollect(output({ responseParameters: outputSizes.map((size) => ({ size })) }))
  yield* check(() => assert.equal(replies.length, outputSizes.length))
  for (const [i, { payload }] of replies.entries()) yield* isZeros(payload, outputSizes[i]!)
})

const statusMessage = Effect.fnUntraced(function* (message: string, stream: boolean) {
  const responseStatus = { code: Grpc.UNKNOWN, message }
  yield* hasCode(yield* Effect.flip(unary({ responseStatus })), Grpc.UNKNOWN, message)
  if (stream)
    yield* hasCode(yield* Effect.flip(Stream.runDrain(duplex(Stream.make<[DuplexRequest]>({ responseStatus })))), Grpc.UNKNOWN, message)
})

const customMetadata = Effect.gen(function* () {
  const [initial, trailing] = ["x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"]
  const bytes = Uint8Array.of(0xab, 0xab, 0xab)
  const request = Metadata.fromRecord({ [initial]: "test_initial_metadata_value" })
  Metadata.setBinary(request, trailing, bytes)
  const message = { responseSize: RESPONSE, payload: zeros(REQUEST) }
  for (const call of [
    Effect.flatMap(unary(message), (reply) => isZeros(reply.payload, RESPONSE)),
    Stream.runDrain(duplex(Stream.make<[DuplexRequest]>({ responseParameters: [{ size: RESPONSE }], payload: zeros(REQUEST) })))
  ]) {
    const carried: Metadatas = { request }
    yield* Effect.provideService(call, Carried, carried)
    yield* check(() => {
      assert.deepEqual(Metadata.getAll(carried.reply ?? Metadata.empty, initial), ["test_initial_metadata_value"])
      assert.deepEqual(Option.getOrUndefined(Metadata.getBinary(carried.trailers ?? Metadata.empty, trailing)), bytes)
    })
  }
})

const interrupted = (exit: Exit.Exit<unknown, unknown>) =>
  check(() => assert.ok(Exit.isFailure(exit) && Exit.hasInterrupts(exit), "not interrupted"))

const cancelAfterBegin = Effect.gen(function* () {
  const call = TestService.use((service) => service.streamingInputCall(Stream.never))
  const fiber = yield* Effect.forkChild(call, { startImmediately: true })
  yield* Fiber.interrupt(fiber)
  yield* interrupted(yield* Fiber.await(fiber))
})

const timeoutOnSleepingServer = Effect.gen(function* () {
  const now = yield* Clock.currentTimeMillis
  const requests = Stream.concat(
    Stream.make<[DuplexRequest]>({ responseParameters: [{ size: 31_415 }], payload: zeros(27_182) }),
    Stream.never
  )
  const late = Effect.provideService(Stream.runDrain(duplex(requests)), Deadline.Current, now + 1)
  yield* hasCode(yield* Effect.flip(late), Grpc.DEADLINE_EXCEEDED)
})

/** Iterations of a soak. */
const SOAK = 100

const soak = <R>(once: Effect.Effect<unknown, unknown, R>) => Effect.asVoid(Effect.repeat(once, { times: SOAK - 1 }))

/** Calls of one client go to one server as long as it lives. */
const sameServer = Effect.gen(function* () {
  const ids = new Set<SimpleResponse["serverId"]>()
  for (let i = 0; i < 50; i++) ids.add((yield* unary({ responseSize: 1, payload: zeros(1), fillServerId: true })).serverId)
  yield* check(() => assert.ok(ids.size === 1 && !ids.has(""), `servers ${[...ids].join()}`))
})

type Case = Effect.Effect<void, unknown, Channels.Channels>

/** All cases by name, against a server. */
export const cases = ({ target, tls }: Server): Readonly<Record<string, Case>> => {
  const layer = (options?: Client.Options) => Layer.fresh(TestService.client(target, { aspects: aspect, tls, ...options }))
  const plain = (run: Effect.Effect<void, unknown, TestService | Channels.Channels>): Case => Effect.provide(run, layer())
  const zipped = (run: Effect.Effect<void, unknown, TestService | Channels.Channels>): Case =>
    Effect.provide(run, layer({ compression: "gzip" }))
  const own = Layer.fresh(Channels.layerDirect)
  return {
    empty_unary: plain(
      Effect.flatMap(
        TestService.use((service) => service.emptyCall({})),
        (reply) => check(() => assert.deepEqual({ ...reply }, { $typeName: "grpc.testing.Empty" }))
      )
    ),
    large_unary: plain(large),
    client_compressed_unary: zipped(CompressionCases.clientCompressedUnary),
    client_compressed_unary_noprobe: zipped(CompressionCases.clientCompressedUnaryNoProbe),
    server_compressed_unary: plain(CompressionCases.serverCompressedUnary),
    client_streaming: plain(
      Effect.flatMap(input(...inputSizes.map((size) => ({ payload: zeros(size) }))), (reply) =>
        check(() => assert.equal(reply.aggregatedPayloadSize, 74_922))
      )
    ),
    client_compressed_streaming: zipped(CompressionCases.clientCompressedStreaming),
    client_compressed_streaming_noprobe: zipped(CompressionCases.clientCompressedStreamingNoProbe),
    server_streaming: plain(serverStreaming),
    server_compressed_streaming: plain(CompressionCases.serverCompressedStreaming),
    ping_pong: plain(pingPong(4)),
    empty_stream: plain(Effect.flatMap(Stream.runCollect(duplex(Stream.empty)), (replies) => check(() => assert.equal(replies.length, 0)))),
    custom_metadata: plain(customMetadata),
    status_code_and_message: plain(statusMessage("test status method", true)),
    special_status_message: plain(statusMessage("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", false)),
    unimplemented_method: plain(
      Effect.flatMap(Effect.flip(TestService.use((service) => service.unimplementedCall({}))), (error) =>
        hasCode(error, Grpc.UNIMPLEMENTED)
      )
    ),
    unimplemented_service: Effect.provide(
      Effect.flatMap(Effect.flip(UnimplementedService.use((service) => service.unimplementedCall({}))), (error) =>
        hasCode(error, Grpc.UNIMPLEMENTED)
      ),
      Layer.fresh(UnimplementedService.client(target, { tls }))
    ),
    cancel_after_begin: plain(cancelAfterBegin),
    // leaving the stream after a reply cancels the call
    cancel_after_first_response: plain(pingPong(1)),
    timeout_on_sleeping_server: plain(timeoutOnSleepingServer),
    pick_first_unary: plain(sameServer),
    rpc_soak: plain(soak(large)),
    // a channel of its own for each
    channel_soak: plain(soak(Effect.provide(large, layer().pipe(Layer.provide(own))))),
    orca_per_rpc: plain(orcaPerRpc),
    orca_oob: Effect.scoped(Effect.provide(orcaOob, Layer.merge(layer(), Layer.fresh(OpenRcaService.client(target, { tls })))))
  }
}
