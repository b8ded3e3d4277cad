/** Which messages are compressed, either way. */
import { Grpc } from "@effect-kratos/core/error/Status"
import * as MessageCompression from "@effect-kratos/transport/MessageCompression"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { check, hasCode } from "../Check.ts"
import { input, isZeros, output, REQUEST, RESPONSE, unary, zeros } from "./Calls.ts"

const { uncompressed, wasCompressed } = MessageCompression

/** A server that looks at the compression of requests refuses one that should be compressed and is not. */
const refused = <R>(call: Effect.Effect<unknown, unknown, R>) =>
  Effect.flatMap(Effect.flip(call), (error) => hasCode(error, Grpc.INVALID_ARGUMENT))

const unaryRequest = (value: boolean) => ({ responseSize: RESPONSE, payload: zeros(REQUEST), expectCompressed: { value } })

/** Asks nothing of a server but that it reads what is compressed. */
export const clientCompressedUnaryNoProbe = Effect.gen(function* () {
  yield* isZeros((yield* unary(unaryRequest(true))).payload, RESPONSE)
  yield* isZeros((yield* unary(uncompressed(unaryRequest(false)))).payload, RESPONSE)
})

export const clientCompressedUnary = Effect.andThen(refused(unary(uncompressed(unaryRequest(true)))), clientCompressedUnaryNoProbe)

const inputRequest = (size: number, value: boolean) => ({ payload: zeros(size), expectCompressed: { value } })

export const clientCompressedStreamingNoProbe = Effect.gen(function* () {
  const reply = yield* input(inputRequest(27_182, true), uncompressed(inputRequest(45_904, false)))
  yield* check(() => assert.equal(reply.aggregatedPayloadSize, 73_086))
})

export const clientCompressedStreaming = Effect.andThen(
  refused(input(uncompressed(inputRequest(27_182, true)))),
  clientCompressedStreamingNoProbe
)

const repliedCompressed = (reply: object, expected: boolean) =>
  check(() => assert.equal(wasCompressed(reply), expected, "compression of the reply"))

export const serverCompressedUnary = Effect.gen(function* () {
  for (const value of [true, false]) {
    const reply = yield* unary({ responseSize: RESPONSE, payload: zeros(REQUEST), responseCompressed: { value } })
    yield* isZeros(reply.payload, RESPONSE)
    yield* repliedCompressed(reply, value)
  }
})

export const serverCompressedStreaming = Effect.gen(function* () {
  const parameters = [
    { size: 31_415, compressed: { value: true } },
    { size: 92_653, compressed: { value: false } }
  ]
  const replies = yield* Stream.runCollect(output({ responseParameters: parameters }))
  yield* check(() => assert.equal(replies.length, 2))
  for (const [i, reply] of replies.entries()) {
    yield* isZeros(reply.payload, parameters[i]!.size)
    yield* repliedCompressed(reply, parameters[i]!.compressed.value)
  }
})
