/** Which messages of a gRPC call are compressed, seen on the wire and by both ends. */
import { create, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as MessageCompression from "../src/MessageCompression.ts"
import { EchoRequestSchema } from "./gen/test/v1/echo_pb.ts"
import { implement, join, serve } from "./Harness.ts"
import { framed, grpcStatus, type Outcome, rawClient } from "./Raw.ts"

const { uncompressed, wasCompressed } = MessageCompression

/** Says of each request whether it came compressed. `squeeze` asks for compressed replies; `plain` is a reply that stays as it is. */
const implementation = implement({
  *unary(request) {
    if (request.text === "squeeze") yield* MessageCompression.replies
    if (request.text === "fails") return yield* Effect.andThen(MessageCompression.replies, Effect.die("a defect"))
    const reply = { text: String(wasCompressed(request)) }
    return request.text === "plain" ? uncompressed(reply) : reply
  },
  serverStream: ({ text }) =>
    Stream.unwrap(
      Effect.as(
        text === "squeeze" ? MessageCompression.replies : Effect.void,
        Stream.make({ text: "a" }, uncompressed({ text: "b" }), { text: "c" })
      )
    ),
  bidi: (requests) => Stream.map(requests, (request) => ({ text: String(wasCompressed(request)) }))
})

/** The flags of the messages in a body. */
const flags = ({ body }: Outcome): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let at = 0; at < body.length; at += 5 + Buffer.from(body).readUInt32BE(at + 1)) found.push(body[at]!)
  return found
}

const request = (text: string) => [framed(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text })))]

describe("compression of messages", () => {
  it.effect("replies are compressed when the handler asks and the client accepts, message by message", () =>
    Effect.gen(function* () {
      const { send } = rawClient(yield* (yield* serve({ implementation })).connect)
      const rows = [
        ["squeeze", "identity, deflate, gzip", "gzip", [1], [1, 0, 1]],
        ["squeeze", "br,deflate", "deflate", [1], [1, 0, 1]],
        ["squeeze", "identity", undefined, [0], [0, 0, 0]],
        ["squeeze", undefined, undefined, [0], [0, 0, 0]],
        ["x", "gzip", undefined, [0], [0, 0, 0]]
      ] as const
      for (const [text, accept, encoding, unary, stream] of rows) {
        const fields = accept === undefined ? {} : { "grpc-accept-encoding": accept }
        for (const [path, expected] of [
          ["/test.v1.Echo/Unary", unary],
          ["/test.v1.Echo/ServerStream", stream]
        ] as const) {
          const outcome = yield* send(path, { fields, body: request(text) })
          assert.strictEqual(grpcStatus(outcome), 0)
          assert.strictEqual(outcome.head["grpc-encoding"], encoding, `${text} ${accept} ${path}`)
          assert.deepStrictEqual(flags(outcome), expected, `${text} ${accept} ${path}`)
        }
      }
      // a failure has no message: one block, no encoding
      const failed = yield* send("/test.v1.Echo/Unary", { fields: { "grpc-accept-encoding": "gzip" }, body: request("fails") })
      assert.isUndefined(failed.head["grpc-encoding"])
      assert.strictEqual(failed.head["grpc-status"], "13")
    })
  )

  it.effect("both ends know what came compressed, and either can leave a message as it is", () =>
    Effect.gen(function* () {
      const { echo } = yield* join({ implementation, client: { compression: "gzip" } })
      const rows = [
        [yield* echo.unary({ text: "x" }), "true", true],
        [yield* echo.unary(uncompressed({ text: "x" })), "false", true],
        [yield* echo.unary({ text: "plain" }), "true", false]
      ] as const
      for (const [reply, request, compressed] of rows) assert.deepStrictEqual([reply.text, wasCompressed(reply)], [request, compressed])
      const replies = yield* Stream.runCollect(echo.bidi(Stream.make({ text: "x" }, uncompressed({ text: "x" }), { text: "x" })))
      assert.deepStrictEqual(
        replies.map(({ text }) => text),
        ["true", "false", "true"]
      )
      assert.isTrue(replies.every(wasCompressed))
    })
  )

  it.effect("a client that does not compress still gets what the handler wants compressed", () =>
    Effect.gen(function* () {
      const { echo } = yield* join({ implementation })
      const reply = yield* echo.unary({ text: "squeeze" })
      assert.deepStrictEqual([reply.text, wasCompressed(reply)], ["false", true])
      assert.isFalse(wasCompressed(yield* echo.unary({ text: "x" })))
    })
  )
})
