/**
 * Hostile servers: what they send ends their connection with its code or fails the call, typed; the client goes on with another connection, and the heap has
 * grown by less than 8 MiB.
 */
import { assert, describe, it } from "@effect/vitest"
import { create, toBinary } from "@bufbuild/protobuf"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as zlib from "node:zlib"
import * as Network from "../../src/Network.ts"
import { EchoReplySchema } from "../gen/test/v1/echo_pb.ts"
import { clientOf, settles, turn } from "../Harness.ts"
import { framed } from "../Raw.ts"
import { held } from "./Heap.ts"
import * as Peer from "./Http2Peer.ts"

const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR } = ErrorCode
const { CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE } = Peer
const MIB = 1024 * 1024
const GROWTH = 8 * MIB

const HEAD = Peer.block([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const OK = Peer.block([["grpc-status", "0"]])
const head = (id = 1): Buffer => Peer.frame(HEADERS, END_HEADERS, id, HEAD)
const end = (id = 1): Buffer => Peer.frame(HEADERS, END_HEADERS | END_STREAM, id, OK)
const reply = (text: string): Buffer => framed(toBinary(EchoReplySchema, create(EchoReplySchema, { text })))
const many = (count: number, part: Uint8Array): Buffer => Buffer.concat(Array.from({ length: count }, () => part))
const GREETING = Buffer.concat([Peer.frame(SETTINGS, 0, 0), Peer.frame(SETTINGS, 1, 0)])

/** Servers in the order of their connections: the first is hostile, the next ones answer as they should. */
const serve = Effect.fnUntraced(function* (onConnection: (peer: Peer.Http2Peer, number: number) => void) {
  const network = Network.makeMemory()
  let connections = 0
  const address = yield* network.listen({ host: "bad", port: 0 }, ({ duplex }) => {
    const number = connections++
    onConnection(begin(duplex), number)
  })
  return { network, address, connections: () => connections }
})

/** The server's side: the client's preface is no frame. */
const begin = (duplex: Duplex): Peer.Http2Peer => {
  let skipped = 0
  const emit = duplex.emit.bind(duplex)
  // cuts the preface off, whatever its chunks are
  duplex.emit = (name: string | symbol, ...args: Array<unknown>): boolean => {
    if (name !== "data" || skipped >= 24) return emit(name, ...args)
    const chunk = args[0] as Buffer // no encoding is set
    const cut = Math.min(24 - skipped, chunk.length)
    skipped += cut
    return cut === chunk.length ? true : emit("data", chunk.subarray(cut))
  }
  return Peer.over(duplex, GREETING)
}

/** Calls `then` when a request has come. */
const whenAsked = (peer: Peer.Http2Peer, then: (id: number) => void): void => {
  const seen = new Set<number>()
  const look = (): void => {
    for (const { id, type } of peer.told) {
      if (type !== HEADERS || seen.has(id)) continue
      seen.add(id)
      then(id)
    }
  }
  peer.duplex.on("data", () => queueMicrotask(look))
}

const answers = (peer: Peer.Http2Peer): void =>
  whenAsked(peer, (id) => peer.write(head(id), Peer.frame(DATA, 0, id, reply("well")), end(id)))

/** Written again and again once a call has come, until the client has closed. */
const attacks: ReadonlyArray<readonly [what: string, code: number, next: (step: number) => Uint8Array]> = [
  ["SETTINGS flood", ENHANCE_YOUR_CALM, () => many(100, Peer.frame(SETTINGS, 0, 0))],
  ["PING flood", ENHANCE_YOUR_CALM, () => many(100, Peer.frame(PING, 0, 0, new Uint8Array(8)))],
  ["empty DATA flood", ENHANCE_YOUR_CALM, (step) => (step === 0 ? head() : many(100, Peer.frame(DATA, 0, 1)))],
  ["WINDOW_UPDATE flood", ENHANCE_YOUR_CALM, () => many(100, Peer.frame(WINDOW_UPDATE, 0, 0, Peer.uint32(1)))],
  [
    "flood of informational heads",
    ENHANCE_YOUR_CALM,
    () => many(100, Peer.frame(HEADERS, END_HEADERS, 1, Peer.block([[":status", "100"]])))
  ],
  [
    "CONTINUATION flood",
    ENHANCE_YOUR_CALM,
    (step) => (step === 0 ? Peer.frame(HEADERS, 0, 1, HEAD) : Peer.frame(CONTINUATION, 0, 1, [0x88]))
  ],
  ["a push", PROTOCOL_ERROR, () => Peer.frame(5, END_HEADERS, 1, [0, 0, 0, 2, 0x82])],
  ["no HPACK", COMPRESSION_ERROR, () => Peer.frame(HEADERS, END_HEADERS, 1, [0x80])],
  [
    "DATA on a stream that has no head",
    ENHANCE_YOUR_CALM,
    (step) => (step === 0 ? head() : many(70, Peer.frame(DATA, 0, 3, new Uint8Array(16_384))))
  ]
]

describe("hostile servers", () => {
  for (const [what, code, next] of attacks) {
    it.effect(`${what}: the connection is closed with ${code}, the call fails typed, the next one succeeds; less than 8 MiB`, () =>
      Effect.gen(function* () {
        let first: Peer.Http2Peer | undefined
        const server = yield* serve((peer, number) => {
          if (number > 0) return answers(peer)
          first = peer
        })
        const { echo } = yield* clientOf(server)
        // a second stream, for what is not about the call
        const waiting = yield* Effect.forkChild(Effect.flip(echo.unary({ text: "one" })))
        const other = yield* Effect.forkChild(Effect.exit(Stream.runDrain(echo.serverStream({ text: "two" }))))
        yield* settles(() => first?.told.length ?? 0)
        const before = yield* held
        for (let step = 0; step < 2000 && !first!.ended; step++) {
          first!.write(next(step))
          yield* turn
        }
        yield* first!.closed
        assert.strictEqual(first!.goAway, code)
        const error = (yield* Fiber.join(waiting)) as KratosError // the client's errors are of this kind
        assert.isNumber(error.grpc)
        assert.isBelow(error.message.length, 300)
        yield* Fiber.join(other)
        assert.isBelow((yield* held) - before, GROWTH)
        assert.strictEqual((yield* echo.unary({ text: "three" })).text, "well")
      })
    )
  }

  it.effect("a server that refuses every stream: three more tries, then UNAVAILABLE", () =>
    Effect.gen(function* () {
      let asked = 0
      const server = yield* serve((peer) =>
        whenAsked(peer, (id) => {
          asked++
          peer.write(Peer.frame(RST_STREAM, 0, id, Peer.uint32(ErrorCode.REFUSED_STREAM)))
        })
      )
      const { echo } = yield* clientOf(server)
      const error = yield* Effect.flip(echo.unary({ text: "x" }))
      assert.strictEqual((error as KratosError).grpc, 14)
      assert.strictEqual(asked, 4)
    })
  )

  for (const [what, body, grpc] of [
    ["a length above the limit", framed(Buffer.alloc(0), 0, 4_294_967_295), 8],
    ["a length that is not kept", framed(Buffer.from("abc"), 0, 100), 13],
    ["a message that is none", framed(Buffer.from([0xff])), 13],
    ["text that is no UTF-8", framed(Buffer.from([0x0a, 2, 0xc0, 0xaf])), 13],
    ["flags that do not exist", framed(Buffer.alloc(0), 9), 13],
    ["a bomb", framed(zlib.gzipSync(Buffer.alloc(32 * MIB)), 1), 8],
    ["gzip that is none", framed(Buffer.from("abc"), 1), 13]
  ] as const) {
    it.effect(`${what}: the call fails with ${grpc}, the connection goes on; less than 8 MiB`, () =>
      Effect.gen(function* () {
        let asked = 0
        const encoded = Peer.frame(HEADERS, END_HEADERS, 1, Buffer.concat([HEAD, Peer.block([["grpc-encoding", "gzip"]])]))
        const server = yield* serve((peer) =>
          whenAsked(peer, (id) => {
            if (asked++ > 0) return peer.write(head(id), Peer.frame(DATA, 0, id, reply("well")), end(id))
            peer.write(encoded)
            for (let at = 0; at < body.length; at += 16_384) peer.write(Peer.frame(DATA, 0, id, body.subarray(at, at + 16_384)))
            peer.write(end(id))
          })
        )
        const { echo } = yield* clientOf(server)
        const before = yield* held
        const error = yield* Effect.flip(echo.unary({ text: "x" }))
        assert.strictEqual((error as KratosError).grpc, grpc, error.message)
        assert.isBelow((yield* held) - before, GROWTH)
        assert.strictEqual((yield* echo.unary({ text: "y" })).text, "well")
        assert.strictEqual(server.connections(), 1)
      })
    )
  }

  it.effect(
    "bombs in a stream of replies that nobody takes: one is decompressed, the others wait as they came; less than 8 MiB, and none is lost",
    () =>
      Effect.gen(function* () {
        const size = 3 * MIB
        const bomb = framed(zlib.gzipSync(toBinary(EchoReplySchema, create(EchoReplySchema, { payload: new Uint8Array(size) }))), 1)
        const encoded = Peer.frame(HEADERS, END_HEADERS, 1, Buffer.concat([HEAD, Peer.block([["grpc-encoding", "gzip"]])]))
        let peer: Peer.Http2Peer | undefined
        const server = yield* serve((one) => {
          peer = one
          whenAsked(one, (id) => {
            one.write(encoded)
            for (let i = 0; i < 30; i++) one.write(Peer.frame(DATA, 0, id, bomb))
            one.write(end(id))
          })
        })
        const { echo } = yield* clientOf(server)
        const before = yield* held
        const go = yield* Deferred.make<void>()
        const began = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runFold(
            // takes the first message and then nothing
            Stream.mapEffect(echo.serverStream({ text: "x" }), (one) =>
              Effect.andThen(Deferred.succeed(began, undefined), Effect.as(Deferred.await(go), one))
            ),
            () => 0,
            (sum, { payload }) => sum + payload.length
          )
        )
        yield* Deferred.await(began)
        yield* settles(() => peer!.counts.bytes)
        assert.isBelow((yield* held) - before, 3 * size)
        yield* Deferred.succeed(go, undefined)
        assert.strictEqual(yield* Fiber.join(fiber), 30 * size)
      })
  )
})
