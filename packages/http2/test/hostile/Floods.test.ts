/**
 * Floods of frames that cost their sender nothing. Each ends the connection with ENHANCE_YOUR_CALM after `maxIdleFrames` of them in a row, whether the
 * peer reads the answers or not, with 64 KiB held at most; other connections go on.
 */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../../src/ErrorCode.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { defaults } from "../../src/Limits.ts"
import { attack, endedWith, request } from "../support/Attack.ts"
import * as F from "../support/Frames.ts"
import { Wire } from "../support/Wire.ts"

const { ENHANCE_YOUR_CALM } = ErrorCode
const BOUND = 65_536
const MOST = defaults.maxIdleFrames

const manySettings = F.settings(...Array.from({ length: 2730 }, () => [0xabc, 1] as const))
const open = F.headers(1, F.POST)

type Flood = readonly [what: string, frame: (i: number) => Uint8Array]

/** On stream 1, which is open; stream 3 is closed. */
const floods: ReadonlyArray<Flood> = [
  ["PING (CVE-2019-9512)", () => F.ping()],
  ["PING acknowledgement", () => F.ping("12345678", 1)],
  ["SETTINGS (CVE-2019-9515)", () => F.settings()],
  ["SETTINGS of 2,730 entries", () => manySettings],
  ["SETTINGS acknowledgement", () => F.SETTINGS_ACK],
  ["window toggling by SETTINGS", (i) => F.settings([4, i & 1 ? 0 : 1_000_000])],
  ["table size flapping by SETTINGS", (i) => F.settings([1, i & 1 ? 0 : 4096])],
  ["PRIORITY (CVE-2019-9513)", (i) => F.frame(2, 0, 5 + 2 * i, [0, 0, 0, 3, 1])],
  ["WINDOW_UPDATE of the connection", () => F.windowUpdate(0, 1)],
  ["WINDOW_UPDATE of a stream", () => F.windowUpdate(1, 1)],
  ["WINDOW_UPDATE of a closed stream", () => F.windowUpdate(3, 1)],
  ["unknown frame", () => F.frame(0x42, 0xff, 0, new Uint8Array(64))],
  ["unknown frame on a stream", () => F.frame(0xfe, 0, 1)],
  ["empty DATA (CVE-2019-9518)", () => F.data(1, "")],
  ["DATA that is all padding", () => F.frame(0, 8, 1, [255, ...new Uint8Array(255)])],
  ["RST_STREAM of a closed stream", () => F.reset(3, 8)],
  ["DATA on a stream that we have reset", () => F.data(3, "x")]
]

const serverFloods: ReadonlyArray<Flood> = [
  ...floods,
  ["GOAWAY", () => F.goAway(0, 0)],
  ["HEADERS on a stream that we have reset", () => F.headers(3, F.GET, F.END)]
]

const clientFloods: ReadonlyArray<Flood> = [
  ...floods,
  ["GOAWAY that lets the stream go on", () => F.goAway(1, 0)],
  ["HEADERS on a stream that we have reset", () => F.headers(3, [[":status", "200"]], F.END)],
  ["informational heads", () => F.headers(1, [[":status", "100"]])]
]

/** Stream 1 is open, stream 3 was reset by us. */
const server = (options = {}) => {
  const wire = Wire.server(options)
  wire.open()
  wire.send(open, F.headers(3, F.POST))
  wire.exchanges[1]?.stream?.reset(ErrorCode.CANCEL)
  wire.frames()
  return wire
}

const client = (options = {}) => {
  const wire = Wire.client(options)
  wire.openServer()
  const first = request(wire, undefined, false)
  request(wire).stream?.reset(ErrorCode.CANCEL)
  wire.run()
  wire.bytes()
  // the response has begun, so that DATA may come
  return { wire, first, begin: () => wire.send(F.headers(1, [[":status", "200"]])) }
}

describe("floods", () => {
  for (const reads of [true, false]) {
    const how = reads ? "" : " of a peer that does not read"
    for (const [what, frame] of serverFloods) {
      it(`server: ${what}${how}: ENHANCE_YOUR_CALM, 64 KiB held at most`, () => {
        const wire = server()
        const outcome = attack(wire, { part: frame, bound: BOUND, reads })
        endedWith(wire, outcome, ENHANCE_YOUR_CALM)
        assert.isAtMost(outcome.steps, MOST + 1)
        // what it is told about it is no more than it has sent
        assert.isAtMost(outcome.sent, outcome.received + 1000)
        assert.deepStrictEqual(wire.exchanges[0]?.events.slice(1), [`abort ${ENHANCE_YOUR_CALM} true`])
      })
    }
    for (const [what, frame] of clientFloods) {
      it(`client: ${what}${how}: ENHANCE_YOUR_CALM, 64 KiB held at most`, () => {
        const { begin, first, wire } = client()
        if (what !== "informational heads") begin()
        const outcome = attack(wire, { part: frame, bound: BOUND, reads })
        endedWith(wire, outcome, ENHANCE_YOUR_CALM)
        assert.isAtMost(outcome.steps, MOST + 1)
        assert.strictEqual(first.events.at(-1), `abort ${ENHANCE_YOUR_CALM} true`)
      })
    }
  }

  it("PINGs in one chunk are answered in one write and counted all the same", () => {
    const wire = server()
    const outcome = attack(wire, { part: () => Buffer.concat(Array.from({ length: 3000 }, () => F.ping())), bound: BOUND })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    assert.strictEqual(outcome.steps, 1)
  })

  it("what says something in between excuses the rest", () => {
    for (const [what, frame] of floods) {
      const wire = server({ maxIdleFrames: 50 })
      for (let i = 0; i < 40; i++) wire.send(frame(i))
      wire.send(F.data(1, "something useful"))
      // a stream that we reset may be written to for a while; what comes there is no use
      for (let i = 0; i < 50; i++) wire.send(frame(i))
      assert.isFalse(wire.connection.closed, what)
      wire.send(frame(50))
      assert.isTrue(wire.connection.closed, what)
    }
  })

  it("they are forgiven over time", () => {
    const wire = server({ maxIdleFrames: 50, abuseWindow: 1000 })
    for (let i = 0; i < 1000; i++) {
      wire.time += 20
      wire.send(F.ping())
    }
    assert.isFalse(wire.connection.closed)
  })

  it("a reader of a large reply may open its window as often as it needs, but not byte by byte", () => {
    for (const [step, closes] of [
      [512, false],
      [1, true]
    ] as const) {
      const wire = Wire.server({ maxIdleFrames: 50 })
      wire.open([4, 0])
      wire.send(F.headers(1, F.GET, F.END))
      wire.exchanges[0]?.stream?.respond(HeaderBlock.make([[":status", "200"]]), new Uint8Array(100_000), undefined)
      for (let i = 0; i < 150; i++) wire.send(F.windowUpdate(1, step))
      assert.strictEqual(wire.connection.closed, closes)
    }
  })

  it("a peer that asks and never reads is cut off at `maxQueuedBytes` of answers", () => {
    const wire = Wire.server({ maxIdleFrames: 1e9 })
    wire.open()
    const outcome = attack(wire, {
      part: () => Buffer.concat(Array.from({ length: 100 }, () => F.ping())),
      bound: defaults.maxQueuedBytes + 4096,
      reads: false
    })
    assert.isAbove(outcome.peak, defaults.maxQueuedBytes / 2)
    assert.isTrue(wire.duplex.destroyed)
    assert.match(wire.closes[0]?.message ?? "", /ENHANCE_YOUR_CALM: the peer does not read/)
  })
})
