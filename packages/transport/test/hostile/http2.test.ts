/**
 * Hostile connections of HTTP/2 to a whole server: each is closed with its code, its calls are interrupted, the heap has grown by less than 8 MiB when it is
 * over, and a well-behaved client on another connection makes calls all the while.
 */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "@effect-kratos/http2/ErrorCode"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { clientOf, serve, settled, turn } from "../Harness.ts"
import { framed } from "../Raw.ts"
import { held } from "./Heap.ts"
import * as Peer from "./Http2Peer.ts"

const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR } = ErrorCode
const GROWTH = 8 * 1024 * 1024

const { CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE } = Peer

const head = Peer.request()
const open = (id: number): Buffer => Peer.frame(HEADERS, END_HEADERS, id, head)
/** A call that waits for a day: there is work to call off. */
const patient = Peer.frame(DATA, END_STREAM, 0, framed(Buffer.from([0x20, 0x80, 0xb8, 0x99, 0x29])))
const call = (id: number): Buffer => {
  const body = Buffer.from(patient)
  body.writeUInt32BE(id, 5)
  return Buffer.concat([open(id), body])
}
const many = (count: number, part: (i: number) => Uint8Array): Buffer => Buffer.concat(Array.from({ length: count }, (_, i) => part(i)))

/** Each writes its next bytes, again and again until it is closed. */
const attacks: ReadonlyArray<readonly [what: string, code: number, next: (step: number) => Uint8Array]> = [
  [
    "rapid reset (CVE-2023-44487)",
    ENHANCE_YOUR_CALM,
    (step) =>
      many(50, (i) => Buffer.concat([call(2 * (50 * step + i) + 1), Peer.frame(RST_STREAM, 0, 2 * (50 * step + i) + 1, Peer.uint32(8))]))
  ],
  [
    "resets provoked by windows (CVE-2025-8671)",
    ENHANCE_YOUR_CALM,
    (step) =>
      many(50, (i) =>
        Buffer.concat([call(2 * (50 * step + i) + 1), Peer.frame(WINDOW_UPDATE, 0, 2 * (50 * step + i) + 1, Peer.uint32(0x7fffffff))])
      )
  ],
  [
    "resets provoked by DATA behind the end",
    ENHANCE_YOUR_CALM,
    (step) => many(50, (i) => Buffer.concat([call(2 * (50 * step + i) + 1), Peer.frame(DATA, 0, 2 * (50 * step + i) + 1, [1])]))
  ],
  ["calls beyond the limit", ENHANCE_YOUR_CALM, (step) => many(100, (i) => call(2 * (100 * step + i) + 1))],
  [
    "CONTINUATION flood",
    ENHANCE_YOUR_CALM,
    (step) => (step === 0 ? Peer.frame(HEADERS, 0, 1, head) : Peer.frame(CONTINUATION, 0, 1, new Uint8Array(1)))
  ],
  ["SETTINGS flood", ENHANCE_YOUR_CALM, () => many(100, () => Peer.frame(SETTINGS, 0, 0))],
  ["PING flood: too many pings", ENHANCE_YOUR_CALM, () => many(100, () => Peer.frame(PING, 0, 0, new Uint8Array(8)))],
  ["empty DATA flood", ENHANCE_YOUR_CALM, (step) => (step === 0 ? open(1) : many(100, () => Peer.frame(DATA, 0, 1)))],
  ["PRIORITY flood", ENHANCE_YOUR_CALM, () => many(100, (i) => Peer.frame(PRIORITY, 0, 2 * i + 1, [0, 0, 0, 0, 1]))],
  ["WINDOW_UPDATE flood", ENHANCE_YOUR_CALM, () => many(100, () => Peer.frame(WINDOW_UPDATE, 0, 0, Peer.uint32(1)))],
  ["flood of unknown frames", ENHANCE_YOUR_CALM, () => many(100, () => Peer.frame(0x77, 0, 0, new Uint8Array(100)))],
  [
    "HPACK bombs",
    ENHANCE_YOUR_CALM,
    (step) =>
      step === 0
        ? Peer.frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            1,
            Buffer.concat([Buffer.from([0x40, 1, 0x78, 127, 0xad, 0x1d]), Buffer.alloc(3884, "b"), head])
          )
        : many(20, (i) =>
            Peer.frame(HEADERS, END_HEADERS | END_STREAM, 2 * (20 * step + i) + 1, Buffer.concat([head, Buffer.alloc(1900, 0xbe)]))
          )
  ],
  [
    "lists above the limit",
    ENHANCE_YOUR_CALM,
    (step) =>
      many(20, (i) => Peer.frame(HEADERS, END_HEADERS | END_STREAM, 2 * (20 * step + i) + 1, Buffer.concat([head, Buffer.alloc(2046 * 3)])))
  ],
  ["a block that is no HPACK", COMPRESSION_ERROR, () => Peer.frame(HEADERS, END_HEADERS, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
  ["a stream of the server's", PROTOCOL_ERROR, () => Peer.frame(HEADERS, END_HEADERS, 2, head)]
]

const MOST = 4000

describe("hostile connections to a server", () => {
  for (const [what, code, next] of attacks) {
    it.effect(`${what}: closed with ${code}, calls go on elsewhere, the heap grows by less than 8 MiB`, () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const { echo } = yield* clientOf(server)
        assert.strictEqual((yield* echo.unary({ text: "before" })).text, "before")
        const before = yield* held
        const peer = yield* Peer.connect(server)
        for (let step = 0; step < MOST && !peer.ended; step++) {
          peer.write(next(step))
          yield* turn
          if (step % 10 === 0) assert.strictEqual((yield* echo.unary({ text: `step ${step}` })).text, `step ${step}`)
        }
        yield* peer.closed
        assert.strictEqual(peer.goAway, code)
        // what it had begun is called off, whatever it was
        yield* settled(server.journal)
        assert.strictEqual((yield* echo.unary({ text: "after" })).text, "after")
        peer.duplex.destroy()
        assert.isBelow((yield* held) - before, GROWTH)
      })
    )
  }

  it.effect("requests that never go on hold their heads alone: 256 of them, less than 8 MiB", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { echo } = yield* clientOf(server)
      yield* echo.unary({})
      const before = yield* held
      const peer = yield* Peer.connect(server)
      // each announces a message of 4 MiB and sends a byte of it
      peer.write(many(256, (i) => Buffer.concat([open(2 * i + 1), Peer.frame(DATA, 0, 2 * i + 1, [0, 0, 0x3f, 0xff, 0xff, 1])])))
      for (let i = 0; i < 20; i++) yield* turn
      assert.strictEqual((yield* echo.unary({ text: "meanwhile" })).text, "meanwhile")
      assert.isFalse(peer.ended)
      assert.isBelow((yield* held) - before, GROWTH)
      peer.duplex.destroy()
      yield* settled(server.journal)
    })
  )

  it.effect("a client that reads nothing of a hundred endless streams: each waits at 64 KiB, 16 MiB in all", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { echo } = yield* clientOf(server)
      yield* echo.unary({})
      const before = yield* held
      const peer = yield* Peer.connect(server)
      // no window of streams
      peer.write(Peer.frame(SETTINGS, 0, 0, [0, 4, 0, 0, 0, 0]))
      const message = Buffer.concat([Buffer.from([0x12, 0x80, 0x08]), Buffer.alloc(1024), Buffer.from([0x18, 0xff, 0xff, 0xff, 0x7f])])
      const endless = Peer.request("/test.v1.Echo/ServerStream")
      peer.write(
        many(100, (i) =>
          Buffer.concat([Peer.frame(HEADERS, END_HEADERS, 2 * i + 1, endless), Peer.frame(DATA, END_STREAM, 2 * i + 1, framed(message))])
        )
      )
      yield* until200(Ref.get(server.journal.open), 100)
      for (let i = 0; i < 200; i++) yield* turn
      assert.strictEqual((yield* echo.unary({ text: "meanwhile" })).text, "meanwhile")
      assert.isBelow((yield* held) - before, 100 * 65_536 * 1.5 + GROWTH)
      peer.duplex.destroy()
      yield* settled(server.journal)
      assert.strictEqual(yield* Ref.get(server.journal.interrupted), 100)
    })
  )
})

const until200 = (read: Effect.Effect<number>, number: number): Effect.Effect<void> =>
  Effect.flatMap(read, (n) => (n >= number ? Effect.void : Effect.andThen(turn, until200(read, number))))
