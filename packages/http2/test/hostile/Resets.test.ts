/**
 * Streams that are opened and broken off at once: by the peer (rapid reset, CVE-2023-44487) or by us because the peer provokes it (CVE-2025-8671). After
 * `maxResets` more of them than finished exchanges the connection ends with ENHANCE_YOUR_CALM; no stream outlives its reset, 64 KiB are held at most.
 */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../../src/ErrorCode.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { defaults } from "../../src/Limits.ts"
import { attack, endedWith, request } from "../support/Attack.ts"
import * as F from "../support/Frames.ts"
import { Exchange, Wire } from "../support/Wire.ts"

const { CANCEL, ENHANCE_YOUR_CALM, REFUSED_STREAM } = ErrorCode
const BOUND = 65_536
const head = HeaderBlock.make([[":status", "200"]])

/** Each opens stream `id` and makes one of us reset it. */
const provocations: ReadonlyArray<readonly [what: string, code: number, frames: (id: number) => ReadonlyArray<Uint8Array>]> = [
  ["RST_STREAM by the client (CVE-2023-44487)", CANCEL, (id) => [F.headers(id, F.GET, F.END), F.reset(id, CANCEL)]],
  ["a window above 2^31 - 1", ErrorCode.FLOW_CONTROL_ERROR, (id) => [F.headers(id, F.POST), F.windowUpdate(id, 0x7fffffff)]],
  ["WINDOW_UPDATE by 0", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, F.POST), F.windowUpdate(id, 0)]],
  ["DATA after END_STREAM", ErrorCode.STREAM_CLOSED, (id) => [F.headers(id, F.GET, F.END), F.data(id, "x")]],
  ["HEADERS after END_STREAM", ErrorCode.STREAM_CLOSED, (id) => [F.headers(id, F.GET, F.END), F.headers(id, F.GET, F.END)]],
  ["a body above its length", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, [...F.POST, ["content-length", "1"]]), F.data(id, "ab")]],
  ["PRIORITY of a wrong size", ErrorCode.FRAME_SIZE_ERROR, (id) => [F.headers(id, F.POST), F.frame(2, 0, id, [0])]],
  ["a stream that depends on itself", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, F.POST), F.frame(2, 0, id, [...F.uint32(id), 0])]],
  ["malformed requests", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, [...F.GET, ["te", "gzip"]], F.END)]],
  ["a length that is not kept", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, [...F.GET, ["content-length", "5"]], F.END)]],
  ["trailers without an end", ErrorCode.PROTOCOL_ERROR, (id) => [F.headers(id, F.POST), F.headers(id, [["a", "b"]])]]
]

describe("resets", () => {
  for (const reads of [true, false]) {
    for (const [what, code, frames] of provocations) {
      it(`server: ${what}${reads ? "" : ", of a peer that does not read"}: ENHANCE_YOUR_CALM, 64 KiB held at most`, () => {
        const wire = Wire.server()
        wire.open()
        let most = 0
        const outcome = attack(wire, {
          part: (i) => frames(2 * i + 1),
          bound: BOUND,
          reads,
          after: () => (most = Math.max(most, wire.connection.openStreams))
        })
        endedWith(wire, outcome, ENHANCE_YOUR_CALM)
        assert.isAtMost(outcome.steps, defaults.maxResets + 1)
        assert.strictEqual(most, 0)
        // the work on each was called off, once
        for (const { events } of wire.exchanges) {
          assert.isAtMost(events.filter((event) => event.startsWith("abort")).length, 1)
          assert.isTrue(events.includes(`abort ${code} true`) || events.includes(`abort ${ENHANCE_YOUR_CALM} true`), events.join())
        }
      })
    }
  }

  it("server: more streams than allowed at a time: REFUSED_STREAM, ENHANCE_YOUR_CALM in the end", () => {
    const wire = Wire.server()
    wire.open()
    const outcome = attack(wire, { part: (i) => F.headers(2 * i + 1, F.POST), bound: BOUND })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    assert.strictEqual(wire.exchanges.length, defaults.maxConcurrentStreams)
    assert.strictEqual(outcome.steps, defaults.maxConcurrentStreams + defaults.maxResets + 1)
    assert.include(outcome.said.at(-2) ?? "", `${REFUSED_STREAM}`)
  })

  it("server: requests that it answers early are no abuse, and leave nothing", () => {
    const wire = Wire.server()
    wire.open()
    const outcome = attack(wire, {
      part: (i) => F.headers(2 * i + 1, F.POST),
      bound: BOUND,
      most: 5000,
      after: () => {
        wire.exchanges.pop()?.stream?.respond(head, new Uint8Array(1), undefined)
        wire.run()
        assert.strictEqual(wire.connection.openStreams, 0)
      }
    })
    assert.strictEqual(outcome.steps, 5000)
    assert.isFalse(wire.connection.closed)
  })

  it("server: resets are forgiven over time", () => {
    const wire = Wire.server({ maxResets: 10, abuseWindow: 1000 })
    wire.open()
    for (let id = 1; id < 201; id += 2) {
      wire.time += 100
      wire.send(F.headers(id, F.POST), F.reset(id, CANCEL))
    }
    assert.isFalse(wire.connection.closed)
  })

  it("server: a client that lets as many exchanges be finished may cancel", () => {
    const wire = Wire.server({ maxResets: 10 })
    wire.open()
    for (let id = 1; id < 401; id += 4) {
      wire.send(F.headers(id, F.POST), F.reset(id, CANCEL), F.headers(id + 2, F.GET, F.END))
      wire.exchanges.at(-1)?.stream?.respond(head, new Uint8Array(1), undefined)
    }
    assert.isFalse(wire.connection.closed)
  })

  it("server: a handler that has queued 64 KiB for each stream leaves none of it behind", () => {
    const wire = Wire.server({ highWaterMark: 65_536 })
    wire.open([4, 0])
    const outcome = attack(wire, {
      // the handler writes between the request and its reset
      part: (i) => (i % 2 === 0 ? F.headers(i + 1, F.GET, F.END) : F.reset(i, CANCEL)),
      bound: BOUND + 65_536,
      after: (i) => {
        if (i % 2 !== 0) return
        const stream = wire.exchanges.pop()?.stream
        stream?.headers(head, false)
        while (stream?.data(new Uint8Array(16_384), false) === true);
      }
    })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
  })

  it("client: a server that refuses or breaks every stream holds nothing; each call hears of it once", () => {
    for (const frames of [
      (id: number) => [F.reset(id, REFUSED_STREAM)],
      (id: number) => [F.headers(id, [[":status", "200"]]), F.reset(id, CANCEL)],
      (id: number) => [F.headers(id, [["x", "y"]])],
      (id: number) => [F.headers(id, [[":status", "200"]]), F.windowUpdate(id, 0x7fffffff)],
      (id: number) => [F.headers(id, [[":status", "200"]], F.END), F.data(id, "late")]
    ]) {
      const wire = Wire.client()
      wire.openServer()
      const exchanges: Array<Exchange> = []
      const outcome = attack(wire, {
        part: (i) => {
          exchanges.push(request(wire, new Uint8Array(100), false))
          return frames(2 * i + 1)
        },
        bound: BOUND,
        most: 3000
      })
      // only as many as the client has asked for
      assert.strictEqual(outcome.steps, 3000)
      assert.isFalse(wire.connection.closed)
      assert.strictEqual(wire.connection.openStreams, 0)
      for (const { events } of exchanges)
        assert.lengthOf(
          events.filter((event) => /^abort| end$/.test(event)),
          1
        )
    }
  })
})
