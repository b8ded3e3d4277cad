/** What our server answers to bytes that are not as they should be: always a status, never a hang, a crash or a trace. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { gunzipSync, gzipSync } from "node:zlib"
import { EchoReplySchema, EchoRequestSchema } from "./gen/test/v1/echo_pb.ts"
import { type Options, reaches, serve, settled } from "./Harness.ts"
import { framed, grpcMessage, grpcStatus, type Outcome, rawClient, type Request } from "./Raw.ts"

const UNARY = "/test.v1.Echo/Unary"
const CLIENT_STREAM = "/test.v1.Echo/ClientStream"
const BIDI = "/test.v1.Echo/Bidi"

const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hello" }))
const good = framed(message)
const garbage = Uint8Array.of(0x0a, 0xff, 0xff, 0xff)

const connect = Effect.fnUntraced(function* (options: Options = {}) {
  const server = yield* serve(options)
  return { ...server, ...rawClient(yield* server.connect) }
})

const replyOf = ({ body }: Outcome) => fromBinary(EchoReplySchema, body[0] === 1 ? gunzipSync(body.subarray(5)) : body.subarray(5))

interface Row extends Request {
  readonly name: string
  readonly path?: string
  /** What is expected; 0 means that the call is answered. */
  readonly status: number
  readonly says?: string
}

const anyKind: ReadonlyArray<Row> = [
  { name: "a compressed message without grpc-encoding", body: [framed(gzipSync(message), 1)], status: Grpc.INTERNAL },
  { name: "undefined flags", body: [framed(message, 2)], status: Grpc.INTERNAL, says: "flags" },
  { name: "all flags", body: [framed(message, 255)], status: Grpc.INTERNAL },
  { name: "half a prefix", body: [good.subarray(0, 3)], status: Grpc.INTERNAL, says: "inside a message" },
  { name: "a prefix without its message", body: [good.subarray(0, 5)], status: Grpc.INTERNAL, says: "inside a message" },
  { name: "a truncated message", body: [good.subarray(0, 9)], status: Grpc.INTERNAL, says: "inside a message" },
  { name: "a prefix that promises 4 GiB", body: [framed(message, 0, 0xffff_ffff)], status: Grpc.RESOURCE_EXHAUSTED, says: "4194304" },
  { name: "a prefix that promises one byte more than the limit", body: [framed(message, 0, 4_194_305)], status: Grpc.RESOURCE_EXHAUSTED },
  { name: "no protobuf", body: [framed(garbage)], status: Grpc.INTERNAL, says: "test.v1.EchoRequest" },
  { name: "text that is not UTF-8", body: [framed(Uint8Array.of(0x0a, 0x02, 0xc3, 0x28))], status: Grpc.INTERNAL },
  { name: "gzip that is none", fields: { "grpc-encoding": "gzip" }, body: [framed(message, 1)], status: Grpc.INTERNAL, says: "gzip" },
  {
    name: "gzip that breaks off",
    fields: { "grpc-encoding": "gzip" },
    body: [framed(gzipSync(message).subarray(0, 15), 1)],
    status: Grpc.INTERNAL
  },
  {
    name: "a gzip bomb",
    fields: { "grpc-encoding": "gzip" },
    body: [framed(gzipSync(new Uint8Array(16 << 20)), 1)],
    status: Grpc.RESOURCE_EXHAUSTED
  },
  { name: "an unknown encoding", fields: { "grpc-encoding": "snappy" }, body: [good], status: Grpc.UNIMPLEMENTED, says: "snappy" },
  ...["", "5", "S", "123456789S", "1s", "-1S", "1.5S", "1S ", "0x1S", "1SS"].slice(1).map((value): Row => ({
    name: `grpc-timeout ${JSON.stringify(value)}`,
    fields: { "grpc-timeout": value },
    body: [good],
    status: value === "1S " ? 0 : Grpc.INTERNAL
  })),
  { name: "an uncompressed message under grpc-encoding gzip", fields: { "grpc-encoding": "gzip" }, body: [good], status: 0 },
  { name: "grpc-encoding identity", fields: { "grpc-encoding": "identity" }, body: [good], status: 0 },
  { name: "a parameter on the content type", fields: { "content-type": "application/grpc; charset=utf-8" }, body: [good], status: 0 },
  { name: "application/grpc+proto", fields: { "content-type": "application/grpc+proto" }, body: [good], status: 0 },
  { name: "application/grpc+thrift", fields: { "content-type": "application/grpc+thrift" }, body: [good], status: Grpc.INTERNAL },
  { name: "GET", fields: { ":method": "GET" }, body: [good], status: Grpc.INTERNAL },
  { name: "PUT", fields: { ":method": "PUT" }, body: [good], status: Grpc.INTERNAL },
  { name: "no te", fields: { te: "" }, body: [good], status: 0 },
  { name: "trailers in place of END_STREAM", body: [good], trailers: [["x-after", "1"]], status: 0 },
  { name: "empty DATA frames all around", body: [Buffer.alloc(0), good, Buffer.alloc(0)], status: 0 },
  { name: "one-byte frames", body: Array.from(good, (byte) => Uint8Array.of(byte)), status: 0 }
]

const unaryOnly: ReadonlyArray<Row> = [
  { name: "no message", body: [Buffer.alloc(0)], status: Grpc.UNIMPLEMENTED, says: "got none" },
  { name: "no body at all", status: Grpc.UNIMPLEMENTED, says: "got none" },
  { name: "no body but trailers", trailers: [["a", "b"]], status: Grpc.UNIMPLEMENTED },
  { name: "two messages", body: [good, good], status: Grpc.UNIMPLEMENTED, says: "got more" },
  { name: "two messages in one frame", body: [Buffer.concat([good, good])], status: Grpc.UNIMPLEMENTED },
  { name: "an unknown method", path: "/test.v1.Echo/Nothing", body: [good], status: Grpc.UNIMPLEMENTED },
  { name: "an unknown service", path: "/test.v1.Nobody/Unary", body: [good], status: Grpc.UNIMPLEMENTED },
  { name: "a path in the wrong case", path: "/test.v1.echo/unary", body: [good], status: Grpc.UNIMPLEMENTED },
  { name: "a path that is none", path: "//", body: [good], status: Grpc.UNIMPLEMENTED },
  { name: "a path with a query", path: `${UNARY}?a=b`, body: [good], status: Grpc.UNIMPLEMENTED },
  { name: "a method of Object", path: "/constructor", body: [good], status: Grpc.UNIMPLEMENTED }
]

const check = (row: Row, outcome: Outcome): void => {
  assert.isTrue(outcome.aborted === undefined || outcome.aborted === 0, `reset with ${outcome.aborted}`)
  assert.strictEqual(outcome.status, 200)
  assert.strictEqual(outcome.head["content-type"], "application/grpc")
  assert.strictEqual(grpcStatus(outcome), row.status, grpcMessage(outcome))
  if (row.says !== undefined) assert.include(decodeURIComponent(grpcMessage(outcome)), row.says)
  assert.notMatch(JSON.stringify([outcome.head, outcome.trailers]), /node_modules|\bat .*:\d+|file:/)
  if (row.status === 0) assert.strictEqual(replyOf(outcome).text, "hello")
}

describe("gRPC requests", () => {
  for (const row of unaryOnly) {
    it.effect(row.name, () =>
      Effect.gen(function* () {
        const { send } = yield* connect()
        check(row, yield* send(row.path ?? UNARY, row))
      })
    )
  }

  for (const path of [UNARY, CLIENT_STREAM, BIDI]) {
    describe(path, () => {
      for (const row of anyKind) {
        it.effect(row.name, () =>
          Effect.gen(function* () {
            const { journal, send } = yield* connect()
            check(row, yield* send(path, row))
            yield* settled(journal)
            // the connection is as good as before
            check({ ...row, status: 0, says: undefined as never }, yield* send(path, { body: [good] }))
          })
        )
      }
    })
  }

  it.effect("messages in every cut", () =>
    Effect.gen(function* () {
      const { send } = yield* connect()
      const two = Buffer.concat([good, good])
      for (let cut = 0; cut <= two.length; cut++) {
        const outcome = yield* send(CLIENT_STREAM, { body: [two.subarray(0, cut), two.subarray(cut)] })
        assert.strictEqual(replyOf(outcome).text, "hello,hello", `cut at ${cut}`)
        const one = yield* send(UNARY, { body: [good.subarray(0, cut), good.subarray(cut)] })
        assert.strictEqual(replyOf(one).text, "hello", `cut at ${cut}`)
      }
    })
  )

  it.effect("an unknown encoding is told what would be understood", () =>
    Effect.gen(function* () {
      const { send } = yield* connect()
      const outcome = yield* send(UNARY, { fields: { "grpc-encoding": "br" }, body: [good] })
      assert.strictEqual(outcome.head["grpc-accept-encoding"], "identity,gzip,deflate")
    })
  )

  it.effect("content types that nobody reads are refused by HTTP, without a gRPC status", () =>
    Effect.gen(function* () {
      const { send } = yield* connect()
      for (const [path, status] of [
        [UNARY, 415],
        ["/test.v1.Nobody/Unary", 404]
      ] as const) {
        for (const type of ["", "text/html", "application/grpcx"]) {
          const outcome = yield* send(path, { fields: { "content-type": type }, body: [good] })
          assert.strictEqual(outcome.status, status, type)
          assert.isNaN(grpcStatus(outcome))
        }
      }
    })
  )

  it.effect("a deadline that the client only announces ends the handler with DEADLINE_EXCEEDED", () =>
    Effect.gen(function* () {
      const { journal, send } = yield* connect()
      const slow = framed(toBinary(EchoRequestSchema, create(EchoRequestSchema, { delayMs: 1_000_000 })))
      const fiber = yield* Effect.forkChild(send(UNARY, { fields: { "grpc-timeout": "50m" }, body: [slow] }))
      yield* reaches(journal.open, 1)
      yield* TestClock.adjust(60)
      const outcome = yield* Fiber.join(fiber)
      assert.strictEqual(grpcStatus(outcome), Grpc.DEADLINE_EXCEEDED)
      assert.include(grpcMessage(outcome), "(server)")
      assert.strictEqual(journal.interrupted.ref.current, 1)
    })
  )

  it.effect("aspects see bad input of every kind, once, as the failure that the client gets", () =>
    Effect.gen(function* () {
      let starts = 0
      const ends: Array<string> = []
      const seen = Aspect.observe({
        start: () => void starts++,
        end: (_, exit) => void ends.push(Exit.isSuccess(exit) ? "ok" : String(KratosError.code(Cause.squash(exit.cause))))
      })
      const { send } = yield* connect({ aspects: seen })
      for (const path of [UNARY, CLIENT_STREAM, BIDI]) {
        yield* send(path, { body: [framed(garbage)] })
        yield* send(path, { body: [framed(message, 0, 0xffff_ffff)] })
        yield* send(path, { body: [good.subarray(0, 4)] })
      }
      assert.strictEqual(starts, 9)
      assert.deepStrictEqual(ends, ["500", "429", "500", "500", "429", "500", "500", "429", "500"])
    })
  )

  it.effect("a request that never ends is interrupted with its connection", () =>
    Effect.gen(function* () {
      const { connection, journal, send } = yield* connect()
      const unary = yield* Effect.forkChild(send(UNARY, { body: [good.subarray(0, 7)], open: true }))
      const fiber = yield* Effect.forkChild(send(BIDI, { body: [good], open: true }))
      yield* reaches(journal.open, 1)
      connection.destroy()
      yield* settled(journal)
      assert.strictEqual(journal.interrupted.ref.current, 1)
      assert.isDefined((yield* Fiber.join(fiber)).aborted)
      assert.isDefined((yield* Fiber.join(unary)).aborted)
    })
  )
})
