/**
 * Peers that do not read, or read by the byte (CVE-2019-9511, CVE-2019-9517), and peers that send more than anybody consumes. What a stream holds is its
 * queue up to `highWaterMark` and a write more, or what has come in up to `initialWindowSize`; a connection holds that for `maxConcurrentStreams`.
 */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../../src/ErrorCode.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { defaults } from "../../src/Limits.ts"
import type { Stream } from "../../src/Stream.ts"
import { attack, endedWith, request } from "../support/Attack.ts"
import * as F from "../support/Frames.ts"
import { Wire } from "../support/Wire.ts"

const { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR } = ErrorCode
const INITIAL_WINDOW = 4
const head = HeaderBlock.make([[":status", "200"]])
const chunk = new Uint8Array(16_384)

/** A producer that goes on until it is told to wait, and again when it is told to go on. */
const pour = (stream: Stream | undefined): void => {
  if (stream === undefined) return
  for (let goOn = true; goOn && !stream.closed;) goOn = stream.data(chunk, false)
}

/** A server whose every stream pours. */
const fountain = (options = {}) => {
  const wire = Wire.server({
    onStream: (stream) => {
      stream.headers(head, false)
      pour(stream)
      return { onData: () => {}, onTrailers: () => {}, onAbort: () => {}, onDrain: () => pour(stream) }
    },
    ...options
  })
  return wire
}

const STREAM = defaults.highWaterMark + chunk.length
const SOCKET = 131_072

describe("peers that do not read", () => {
  it(`window of 0 on ${defaults.maxConcurrentStreams} streams: 80 KiB a stream are held, 20 MiB in all`, () => {
    const wire = fountain()
    wire.open([INITIAL_WINDOW, 0])
    const outcome = attack(wire, {
      part: (i) => F.headers(2 * i + 1, F.GET, F.END),
      most: defaults.maxConcurrentStreams,
      bound: defaults.maxConcurrentStreams * STREAM + SOCKET
    })
    assert.strictEqual(wire.connection.openStreams, defaults.maxConcurrentStreams)
    assert.isAbove(outcome.peak, defaults.maxConcurrentStreams * defaults.highWaterMark)
    wire.connection.close(ErrorCode.NO_ERROR)
    wire.bytes()
    assert.isAtMost(wire.connection.heldBytes, 16_384)
  })

  it("window of the connection spent: streams wait for it, 80 KiB each", () => {
    const wire = fountain({ maxConcurrentStreams: 32 })
    wire.open([INITIAL_WINDOW, 0x7fffffff])
    attack(wire, { part: (i) => F.headers(2 * i + 1, F.GET, F.END), most: 32, bound: 32 * STREAM + SOCKET })
    assert.strictEqual(wire.connection.openStreams, 32)
  })

  it("internal data buffering (CVE-2019-9517): windows wide open, a socket that is not read: 80 KiB a stream and 128 KiB of the socket", () => {
    const wire = fountain({ maxConcurrentStreams: 64 })
    wire.open([INITIAL_WINDOW, 0x7fffffff])
    wire.send(F.windowUpdate(0, 0x7fff0000))
    const outcome = attack(wire, { part: (i) => F.headers(2 * i + 1, F.GET, F.END), most: 64, bound: 64 * STREAM + SOCKET, reads: false })
    assert.isAbove(outcome.peak, 63 * defaults.highWaterMark)
    assert.isAtMost(wire.duplex.writableLength, SOCKET)
  })

  it("whole replies: what is held is what handlers have answered, at most one reply a stream", () => {
    const wire = Wire.server({
      maxConcurrentStreams: 8,
      onStream: (stream) => {
        stream.respond(head, new Uint8Array(1_000_000), undefined)
        return { onData: () => {}, onTrailers: () => {}, onAbort: () => {} }
      }
    })
    wire.open([INITIAL_WINDOW, 0])
    const outcome = attack(wire, { part: (i) => F.headers(2 * i + 1, F.GET, F.END), most: 100, bound: 8 * 1_000_000 + SOCKET })
    assert.strictEqual(wire.connection.openStreams, 8)
    assert.isAbove(outcome.peak, 8_000_000)
  })

  it("data dribble (CVE-2019-9511): windows of a byte on many streams: ENHANCE_YOUR_CALM after `maxIdleFrames`", () => {
    const wire = fountain({ maxConcurrentStreams: 50 })
    wire.open([INITIAL_WINDOW, 1])
    wire.send(...Array.from({ length: 50 }, (_, i) => F.headers(2 * i + 1, F.GET, F.END)))
    const outcome = attack(wire, { part: (i) => F.windowUpdate(2 * (i % 50) + 1, 1), bound: 50 * STREAM + SOCKET })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    assert.isAtMost(outcome.steps, defaults.maxIdleFrames + 200)
    // a byte of payload costs ten on the wire; that is all that it may provoke
    assert.isAtMost(outcome.sent, 2 * outcome.received)
  })

  it("SETTINGS_INITIAL_WINDOW_SIZE toggling: no byte more than the windows ever allowed, ENHANCE_YOUR_CALM in the end", () => {
    const wire = fountain({ maxConcurrentStreams: 50 })
    wire.open([INITIAL_WINDOW, 0])
    wire.send(...Array.from({ length: 50 }, (_, i) => F.headers(2 * i + 1, F.GET, F.END)))
    wire.frames()
    const outcome = attack(wire, { part: (i) => F.settings([INITIAL_WINDOW, i & 1 ? 0 : 1000]), bound: 50 * STREAM + SOCKET })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    assert.isAtMost(outcome.sent, 65_535 + 64 * 50 + outcome.steps * 18)
  })

  it("a client whose server takes nothing holds what its callers have queued", () => {
    const wire = Wire.client()
    wire.openServer([INITIAL_WINDOW, 0])
    for (let i = 0; i < 20; i++) pour(request(wire, undefined, false).stream)
    assert.isAtMost(wire.connection.heldBytes, 20 * STREAM + SOCKET)
    assert.isAbove(wire.connection.heldBytes, 20 * defaults.highWaterMark)
  })
})

describe("peers that send more than anybody consumes", () => {
  const options = { maxConcurrentStreams: 16, initialWindowSize: 65_536 }
  const bound = 16 * 65_536 + SOCKET

  it("a body that nobody consumes: the window of each stream and no more, then FLOW_CONTROL_ERROR on the stream", () => {
    const wire = Wire.server(options)
    wire.open()
    for (let i = 0; i < 16; i++) {
      wire.send(F.headers(2 * i + 1, F.POST))
      wire.exchanges[i]!.consume = false
    }
    const outcome = attack(wire, { part: (i) => F.data(2 * (i % 16) + 1, chunk), most: 16 * 4, bound })
    assert.strictEqual(outcome.steps, 64)
    assert.isAtLeast(outcome.peak, 16 * 65_536)
    wire.send(F.data(1, "x"))
    assert.include(F.show(wire.frames()), `RST_STREAM 1 ${FLOW_CONTROL_ERROR}`)
    assert.isFalse(wire.connection.closed)
  })

  it("padding counts like payload, and is given back", () => {
    const wire = Wire.server(options)
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.exchanges[0]!.consume = false
    const outcome = attack(wire, {
      part: () => F.frame(0, 8, 1, [255, 1, ...new Uint8Array(255)]),
      most: 3000,
      bound: bound
    })
    assert.strictEqual(outcome.steps, 3000)
    assert.strictEqual(wire.exchanges[0]!.received, 3000)
  })

  it("more than the window of the connection in one go: FLOW_CONTROL_ERROR for the connection", () => {
    const wire = Wire.server({ maxFrameSize: 16_777_215, connectionWindowSize: 65_535 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    const outcome = attack(wire, { part: () => F.data(1, new Uint8Array(65_536)), bound, most: 1 })
    endedWith(wire, outcome, FLOW_CONTROL_ERROR)
    assert.strictEqual(wire.exchanges[0]!.received, 0)
  })

  it("a server that floods a client: the window of each stream, then the stream ends", () => {
    const wire = Wire.client(options)
    wire.openServer()
    const exchanges = Array.from({ length: 16 }, () => request(wire))
    wire.run()
    wire.bytes()
    wire.send(...Array.from({ length: 16 }, (_, i) => F.headers(2 * i + 1, [[":status", "200"]])))
    for (const exchange of exchanges) exchange.consume = false
    const outcome = attack(wire, { part: (i) => F.data(2 * (i % 16) + 1, chunk), most: 16 * 5, bound })
    assert.strictEqual(outcome.steps, 80)
    assert.strictEqual(wire.connection.openStreams, 0)
    for (const { events } of exchanges) assert.strictEqual(events.at(-1), `abort ${FLOW_CONTROL_ERROR} true`)
  })

  it("a body dripped byte by byte holds no more than its frames announce", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.POST))
    const body = Buffer.concat([F.data(1, "a".repeat(300)), F.frame(0, 8, 1, [2, 98, 98, 0, 0])])
    const base = wire.connection.heldBytes
    const outcome = attack(wire, { part: (i) => (i < body.length ? body.subarray(i, i + 1) : undefined), bound: base + 310 + 64 })
    assert.strictEqual(outcome.steps, body.length)
    assert.strictEqual(wire.exchanges[0]!.received, 302)
  })
})
