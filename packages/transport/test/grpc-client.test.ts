/** What our client makes of servers that answer badly: a typed error, never a hang, and a second try only where it is safe. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { Stream as H2Stream } from "@effect-kratos/http2/Stream"
import { create, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { gzipSync } from "node:zlib"
import { EchoReplySchema, EchoRequestSchema } from "./gen/test/v1/echo_pb.ts"
import { clientOf, turn, until } from "./Harness.ts"
import { framed, type Script, scripted, silent } from "./Raw.ts"

const message = toBinary(EchoReplySchema, create(EchoReplySchema, { text: "hello" }))
const good = framed(message)

type Fields = ReadonlyArray<readonly [string, string]>
const head = (fields: Fields = [], status = "200", contentType = "application/grpc") =>
  HeaderBlock.make([[":status", status], ["content-type", contentType], ...fields])
const ok = HeaderBlock.make([["grpc-status", "0"]])

/** Head, DATA frames, trailers. */
const answer =
  (fields: Fields, body: ReadonlyArray<Uint8Array>, trailers: Fields | undefined): Script =>
  (stream) => {
    stream.headers(head(fields), false)
    for (const chunk of body) stream.data(chunk, false)
    if (trailers === undefined) stream.data(new Uint8Array(0), true)
    else stream.trailers(HeaderBlock.make(trailers))
  }

const trailersOnly =
  (fields: Fields): Script =>
  (stream) =>
    stream.headers(head(fields), true)

const plain =
  (status: string, contentType = "text/html"): Script =>
  (stream) => {
    stream.headers(head([], status, contentType), false)
    stream.data(Buffer.from("<html>hunter2</html>"), true)
  }

const well = (stream: H2Stream): void => stream.respond(head(), good, ok)

interface Row {
  readonly name: string
  readonly script: Script
  readonly grpc: number
  readonly code?: number
  readonly says?: string
  /** Not for replies that are streams. */
  readonly single?: boolean
}

const details = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")

const rows: ReadonlyArray<Row> = [
  ...(
    [
      ["400", Grpc.INTERNAL],
      ["401", Grpc.UNAUTHENTICATED],
      ["403", Grpc.PERMISSION_DENIED],
      ["404", Grpc.UNIMPLEMENTED],
      ["418", Grpc.UNKNOWN],
      ["429", Grpc.UNAVAILABLE],
      ["500", Grpc.UNKNOWN],
      ["502", Grpc.UNAVAILABLE],
      ["503", Grpc.UNAVAILABLE],
      ["504", Grpc.UNAVAILABLE]
    ] as const
  ).map(([status, grpc]): Row => ({ name: `HTTP status ${status}`, script: plain(status), grpc, says: status })),
  { name: "HTML under status 200", script: plain("200"), grpc: Grpc.UNKNOWN, says: "text/html" },
  { name: "gRPC-Web", script: plain("200", "application/grpc-web+proto"), grpc: Grpc.UNKNOWN },
  { name: "no content type", script: plain("200", ""), grpc: Grpc.UNKNOWN },
  { name: "no trailers", script: answer([], [good], undefined), grpc: Grpc.INTERNAL, says: "without trailers" },
  { name: "trailers without a status", script: answer([], [good], [["a", "b"]]), grpc: Grpc.UNKNOWN, says: "no grpc-status" },
  { name: "a status that is no number", script: trailersOnly([["grpc-status", "x"]]), grpc: Grpc.UNKNOWN },
  { name: "a status that nobody knows", script: trailersOnly([["grpc-status", "99"]]), grpc: Grpc.UNKNOWN },
  { name: "a negative status", script: trailersOnly([["grpc-status", "-1"]]), grpc: Grpc.UNKNOWN },
  ...Object.entries(Grpc)
    .filter(([, grpc]) => grpc !== 0)
    .map(([name, grpc]): Row => ({
      name,
      script: trailersOnly([
        ["grpc-status", String(grpc)],
        ["grpc-message", "sorry: 100%25 %E2%82%AC"]
      ]),
      grpc,
      says: "sorry: 100% €"
    })),
  {
    name: "a message that is badly encoded",
    script: trailersOnly([
      ["grpc-status", "5"],
      ["grpc-message", "%zz %E2 100%"]
    ]),
    grpc: Grpc.NOT_FOUND,
    says: "%zz"
  },
  {
    name: "details that are no base64",
    script: trailersOnly([
      ["grpc-status", "5"],
      ["grpc-status-details-bin", "!!!"]
    ]),
    grpc: Grpc.NOT_FOUND
  },
  {
    name: "details that are no protobuf",
    script: trailersOnly([
      ["grpc-status", "5"],
      ["grpc-status-details-bin", details(Uint8Array.of(255, 255))]
    ]),
    grpc: Grpc.NOT_FOUND
  },
  {
    name: "a truncated message",
    script: answer([], [good.subarray(0, 7)], [["grpc-status", "0"]]),
    grpc: Grpc.INTERNAL,
    says: "inside a message"
  },
  {
    name: "a message that promises 4 GiB",
    script: answer([], [framed(message, 0, 0xffff_ffff)], [["grpc-status", "0"]]),
    grpc: Grpc.RESOURCE_EXHAUSTED
  },
  { name: "undefined flags", script: answer([], [framed(message, 4)], [["grpc-status", "0"]]), grpc: Grpc.INTERNAL },
  {
    name: "a compressed message without encoding",
    script: answer([], [framed(gzipSync(message), 1)], [["grpc-status", "0"]]),
    grpc: Grpc.INTERNAL
  },
  {
    name: "an unknown encoding",
    script: answer([["grpc-encoding", "snappy"]], [good], [["grpc-status", "0"]]),
    grpc: Grpc.INTERNAL,
    says: "snappy"
  },
  {
    name: "a gzip bomb",
    script: answer([["grpc-encoding", "gzip"]], [framed(gzipSync(new Uint8Array(16 << 20)), 1)], [["grpc-status", "0"]]),
    grpc: Grpc.RESOURCE_EXHAUSTED
  },
  {
    name: "no protobuf",
    script: answer([], [framed(Uint8Array.of(0x0a, 0xff))], [["grpc-status", "0"]]),
    grpc: Grpc.INTERNAL,
    says: "decoded"
  },
  { name: "no message", script: answer([], [], [["grpc-status", "0"]]), grpc: Grpc.UNIMPLEMENTED, says: "none", single: true },
  { name: "two messages", script: answer([], [good, good], [["grpc-status", "0"]]), grpc: Grpc.UNIMPLEMENTED, says: "more", single: true },
  ...(
    [
      [0x0, Grpc.INTERNAL],
      [0x1, Grpc.INTERNAL],
      [0x2, Grpc.INTERNAL],
      [0x3, Grpc.INTERNAL],
      [0x4, Grpc.INTERNAL],
      [0x5, Grpc.INTERNAL],
      [0x6, Grpc.INTERNAL],
      [0x7, Grpc.UNAVAILABLE],
      [0x8, Grpc.CANCELLED],
      [0x9, Grpc.INTERNAL],
      [0xb, Grpc.RESOURCE_EXHAUSTED],
      [0xc, Grpc.PERMISSION_DENIED],
      [0xd, Grpc.INTERNAL],
      [0xffff, Grpc.INTERNAL]
    ] as const
  ).flatMap(([code, grpc]): ReadonlyArray<Row> => [
    { name: `RST_STREAM ${code}`, script: (stream) => stream.reset(code), grpc },
    {
      name: `RST_STREAM ${code} after a head and half a message`,
      script: (stream) => {
        stream.headers(head(), false)
        stream.data(good.subarray(0, 7), false)
        queueMicrotask(() => stream.connection.ping(() => stream.reset(code)))
      },
      grpc
    }
  ]),
  { name: "GOAWAY for a broken protocol", script: (_, __, connection) => connection.close(0x1, "you are wrong"), grpc: Grpc.INTERNAL },
  { name: "GOAWAY for too many calls", script: (_, __, connection) => connection.close(0xb, "calm down"), grpc: Grpc.RESOURCE_EXHAUSTED },
  {
    name: "a connection that is lost before the reply",
    script: (_, __, connection) => connection.destroy(),
    grpc: Grpc.UNAVAILABLE,
    code: 503
  },
  {
    name: "a connection that is lost in the middle of the reply",
    script: (stream, _, connection) => {
      stream.headers(head(), false)
      stream.data(good.subarray(0, 7), false)
      connection.ping(() => connection.destroy())
    },
    grpc: Grpc.UNAVAILABLE
  }
]

describe("gRPC replies", () => {
  for (const row of rows) {
    it.effect(row.name, () =>
      Effect.gen(function* () {
        const { echo } = yield* clientOf(yield* scripted(row.script))
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          echo.unary({}),
          echo.clientStream(Stream.make({})),
          ...(row.single === true
            ? []
            : [Stream.runDrain(echo.serverStream({})), Stream.runDrain(echo.bidi(Stream.concat(Stream.make({}), Stream.never)))])
        ]
        for (const call of calls) {
          const failure = yield* Effect.flip(call)
          assert.instanceOf(failure, KratosError.KratosError)
          assert.strictEqual(failure.grpc, row.grpc, failure.message)
          if (row.code !== undefined) assert.strictEqual(failure.code, row.code)
          if (row.says !== undefined) assert.include(failure.message, row.says)
          assert.notInclude(failure.message, "hunter2")
        }
      })
    )
  }

  it.effect("messages before an error still arrive, in every cut", () =>
    Effect.gen(function* () {
      const two = Buffer.concat([good, good])
      for (let cut = 0; cut <= two.length; cut++) {
        const { echo } = yield* clientOf(yield* scripted(answer([], [two.subarray(0, cut), two.subarray(cut)], [["grpc-status", "7"]])))
        let got = 0
        const failure = yield* Effect.flip(Stream.runForEach(echo.serverStream({}), () => Effect.sync(() => got++)))
        assert.strictEqual(KratosError.code(failure), 403)
        assert.strictEqual(got, 2, `cut at ${cut}`)
      }
    })
  )
})

describe("second tries", () => {
  const refuse: Script = (stream) => stream.reset(0x7)

  it.effect("a stream that the server refused is sent again, without the caller noticing", () =>
    Effect.gen(function* () {
      const server = yield* scripted((stream, headers, connection, number) =>
        number < 2 ? refuse(stream, headers, connection, number) : well(stream)
      )
      const { echo } = yield* clientOf(server)
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      assert.strictEqual(server.seen.streams, 3)
    })
  )

  it.effect("but not for ever", () =>
    Effect.gen(function* () {
      const server = yield* scripted(refuse)
      const { echo } = yield* clientOf(server)
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary({}))), 503)
      assert.strictEqual(server.seen.streams, 4)
    })
  )

  it.effect("nor when the server may have acted on it", () =>
    Effect.gen(function* () {
      for (const script of rows.filter(({ name }) => /RST_STREAM (2|8)$|lost|INTERNAL$|UNAVAILABLE$/.test(name)).map((row) => row.script)) {
        const server = yield* scripted(script)
        const { echo } = yield* clientOf(server)
        yield* Effect.flip(echo.unary({}))
        assert.strictEqual(server.seen.streams, 1)
      }
    })
  )

  it.effect("nor when it had begun to answer", () =>
    Effect.gen(function* () {
      const server = yield* scripted((stream) => {
        stream.headers(head(), false)
        stream.data(good, false)
        stream.connection.ping(() => stream.reset(0x7))
      })
      const { echo } = yield* clientOf(server)
      let got = 0
      const failure = yield* Effect.flip(Stream.runForEach(echo.serverStream({}), () => Effect.sync(() => got++)))
      assert.deepStrictEqual([KratosError.code(failure), got, server.seen.streams], [503, 1, 1])
    })
  )

  /** Refuses streams until `refusals` are used up, after some of their data; then collects and answers. */
  const collecting = (refusals: number, after: number) => {
    const bodies: Array<Buffer> = []
    const script: Script = (stream, _, __, number) => {
      let received = 0
      const chunks: Array<Buffer> = []
      if (number < refusals && after === 0) stream.reset(0x7)
      return {
        onData: (data, end) => {
          stream.consumed(data.length)
          received += data.length
          chunks.push(Buffer.from(data))
          if (number < refusals && received >= after) stream.reset(0x7)
          else if (end) {
            bodies.push(Buffer.concat(chunks))
            well(stream)
          }
        },
        onTrailers: () => {},
        onAbort: () => {}
      }
    }
    return { bodies, script }
  }
  const requestOf = (text: string) => framed(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text })))

  it.effect("streams of requests are sent again from the first message; the caller's stream runs once", () =>
    Effect.gen(function* () {
      for (const after of [0, 1, 30_000]) {
        const { bodies, script } = collecting(3, after)
        const { echo } = yield* clientOf(yield* scripted(script))
        let ran = 0
        const texts = Array.from({ length: 50 }, (_, i) => String(i).repeat(1000))
        const requests = Stream.concat(
          Stream.fromIterable(texts.slice(0, 20)),
          Stream.fromEffect(
            Effect.andThen(
              turn,
              Effect.sync(() => (ran++, texts[20]!))
            )
          )
        ).pipe(
          Stream.concat(Stream.fromIterable(texts.slice(21))),
          Stream.map((text) => ({ text }))
        )
        assert.strictEqual((yield* echo.clientStream(requests)).text, "hello")
        assert.strictEqual(ran, 1)
        assert.deepStrictEqual(bodies, [Buffer.concat(texts.map(requestOf))], `after ${after}`)
      }
    })
  )

  it.effect("a failure of the caller's stream between two tries is the failure of the call", () =>
    Effect.gen(function* () {
      const { script } = collecting(1, 1)
      const { echo } = yield* clientOf(yield* scripted(script))
      const requests = Stream.concat(
        Stream.make({ text: "a" }),
        Stream.fromEffect(Effect.andThen(Effect.repeat(turn, { times: 10 }), Effect.fail("mine")))
      )
      assert.strictEqual(yield* Effect.flip(echo.clientStream(requests as Stream.Stream<{ text: string }>)), "mine" as never)
    })
  )

  it.effect("but not once more has been sent than is kept", () =>
    Effect.gen(function* () {
      const { bodies, script } = collecting(1, 300_000)
      const server = yield* scripted(script)
      const { echo } = yield* clientOf(server)
      const requests = Stream.map(Stream.fromIterable(Array.from({ length: 50 }, (_, i) => i)), () => ({ text: "x".repeat(10_000) }))
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.clientStream(requests))), 503)
      assert.deepStrictEqual([server.seen.streams, bodies.length], [1, 0])
    })
  )

  it.effect("a GOAWAY moves what it did not cover to a new connection and lets the rest finish", () =>
    Effect.gen(function* () {
      const held: Array<H2Stream> = []
      const server = yield* scripted((stream, _, connection, number) => {
        if (number === 0) held.push(stream)
        else if (server.seen.connections === 1) {
          // says that it has seen the first stream only
          stream.connection.streamError(stream, 0x7)
          connection.shutdown()
        } else well(stream)
        return silent
      })
      const { echo } = yield* clientOf(server)
      const first = yield* Effect.forkChild(echo.unary({}))
      yield* until(Effect.sync(() => held.length === 1))
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      well(held[0]!)
      assert.strictEqual((yield* Fiber.join(first)).text, "hello")
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      assert.strictEqual(server.seen.connections, 2)
    })
  )

  it.effect("after a lost connection the next call makes a new one", () =>
    Effect.gen(function* () {
      const server = yield* scripted((stream, _, connection, number) => (number === 0 ? connection.destroy() : well(stream)))
      const { echo } = yield* clientOf(server)
      yield* Effect.flip(echo.unary({}))
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      assert.strictEqual(server.seen.connections, 2)
    })
  )

  it.effect("where nobody listens the error is 503 and says the address", () =>
    Effect.gen(function* () {
      const { network } = yield* scripted(well)
      const { echo } = yield* clientOf({ network, address: { host: "nowhere", port: 7 } })
      for (const call of [echo.unary({}), Stream.runDrain(echo.serverStream({}))] as ReadonlyArray<Effect.Effect<unknown, unknown>>) {
        const failure = yield* Effect.flip(call)
        assert.instanceOf(failure, KratosError.KratosError)
        assert.strictEqual(failure.code, 503)
        assert.include(failure.message, "nowhere:7")
      }
    })
  )
})
