/** The end of a connection as a race: GOAWAY of either side against streams, lies in GOAWAY, peers that vanish or do not let go. */
import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../../src/ErrorCode.ts"
import { HeaderBlock } from "../../src/HeaderBlock.ts"
import { attack, endedWith, request } from "../support/Attack.ts"
import * as F from "../support/Frames.ts"
import { Wire } from "../support/Wire.ts"

const { CONNECT_ERROR, ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } = ErrorCode
const BOUND = 65_536
const head = HeaderBlock.make([[":status", "200"]])
const MAX_31 = 0x7fffffff

/** A server that is shutting down; `pong` makes its GOAWAY final. */
const leaving = () => {
  const wire = Wire.server()
  wire.open()
  wire.send(F.headers(1, F.POST))
  wire.connection.shutdown()
  const said = wire.frames()
  assert.deepStrictEqual(F.show(said).slice(0, 2), [`GOAWAY 0 ${MAX_31} 0`, "PING 0"])
  return { wire, pong: F.frame(6, 1, 0, said[1]!.payload) }
}

describe("GOAWAY of a server", () => {
  it("takes streams that were on their way, refuses those behind the last word, finishes the rest", () => {
    const { pong, wire } = leaving()
    wire.send(F.headers(3, F.GET, F.END), pong)
    assert.deepStrictEqual(F.show(wire.frames()), ["GOAWAY 0 3 0"])
    wire.send(F.headers(5, F.GET, F.END))
    assert.deepStrictEqual(F.show(wire.frames()), [`RST_STREAM 5 ${REFUSED_STREAM}`])
    assert.lengthOf(wire.exchanges, 2)
    for (const { stream } of wire.exchanges) stream?.headers(head, true)
    wire.run()
    assert.isTrue(wire.connection.closed)
    assert.isTrue(wire.duplex.ended)
  })

  it("a client that goes on opening streams behind it is ended with ENHANCE_YOUR_CALM, 64 KiB held at most", () => {
    const { pong, wire } = leaving()
    wire.send(pong)
    const outcome = attack(wire, { part: (i) => F.headers(2 * i + 3, F.GET, F.END), bound: BOUND })
    endedWith(wire, outcome, ENHANCE_YOUR_CALM)
    assert.lengthOf(wire.exchanges, 1)
  })

  it("a client cannot make the last word come early with an acknowledgement that it guessed", () => {
    const { wire } = leaving()
    wire.send(F.ping("\0\0\0\0\0\0\0\x63", 1), F.ping("abcdefgh", 1))
    assert.deepStrictEqual(F.show(wire.frames()), [])
    wire.send(F.headers(3, F.GET, F.END))
    assert.lengthOf(wire.exchanges, 2)
  })

  it("a client that never acknowledges keeps the connection, bounded, until its owner destroys it", () => {
    const { wire } = leaving()
    const outcome = attack(wire, {
      part: (i) => [F.headers(2 * i + 3, F.GET, F.END)],
      bound: BOUND,
      most: 2000,
      after: () => wire.exchanges.pop()?.stream?.headers(head, true)
    })
    assert.strictEqual(outcome.steps, 2000)
    wire.connection.destroy()
    assert.isTrue(wire.duplex.destroyed)
    assert.strictEqual(wire.connection.openStreams, 0)
  })
})

describe("GOAWAY of a hostile server", () => {
  const client = (count: number) => {
    const ways: Array<string> = []
    const wire = Wire.client({ onGoAway: (code, last) => ways.push(`${code} ${last}`) })
    wire.openServer()
    const exchanges = Array.from({ length: count }, () => request(wire, undefined, false))
    wire.run()
    wire.bytes()
    return { wire, exchanges, ways }
  }

  it("a last id that shrinks: streams above it may be sent again, each hears of it once", () => {
    const { exchanges, wire } = client(3)
    wire.send(F.goAway(MAX_31, NO_ERROR), F.goAway(3, NO_ERROR), F.goAway(1, NO_ERROR))
    assert.deepStrictEqual(
      exchanges.map(({ events }) => events),
      [[], [`abort ${REFUSED_STREAM} false`], [`abort ${REFUSED_STREAM} false`]]
    )
    assert.isUndefined(request(wire).stream)
  })

  it("a last id that grows again brings nothing back", () => {
    const { exchanges, wire } = client(2)
    wire.send(F.goAway(1, NO_ERROR), F.goAway(MAX_31, NO_ERROR), F.headers(1, [[":status", "200"]], F.END))
    assert.deepStrictEqual(exchanges[0]?.events, ["head 200 end"])
    assert.deepStrictEqual(exchanges[1]?.events, [`abort ${REFUSED_STREAM} false`])
    assert.isUndefined(request(wire).stream)
  })

  it("answers to streams that it said it never processed do not count", () => {
    const { exchanges, wire } = client(2)
    wire.send(F.goAway(1, NO_ERROR), F.headers(3, [[":status", "200"]], F.END))
    assert.deepStrictEqual(exchanges[1]?.events, [`abort ${REFUSED_STREAM} false`])
    assert.isTrue(wire.connection.closed)
    assert.deepStrictEqual(exchanges[0]?.events, [`abort ${ErrorCode.STREAM_CLOSED} true`])
  })

  it("16 KiB of debug data are cut to 256 bytes, whatever they are", () => {
    const { exchanges, wire } = client(1)
    wire.send(F.frame(7, 0, 0, [...F.uint32(0), ...F.uint32(ENHANCE_YOUR_CALM), ...new Uint8Array(16_000).fill(0xff)]))
    wire.duplex.destroy()
    assert.deepStrictEqual(exchanges[0]?.events, [`abort ${REFUSED_STREAM} false`])
    assert.isAtMost(wire.closes[0]?.message.length ?? 1e9, 300)
  })

  it("an answer and then silence: the connection is lost, the call hears the code of the GOAWAY", () => {
    const { exchanges, wire } = client(1)
    wire.send(F.goAway(1, ENHANCE_YOUR_CALM))
    wire.duplex.destroy()
    assert.deepStrictEqual(exchanges[0]?.events, [`abort ${ENHANCE_YOUR_CALM} true`])
  })

  it("pushes and streams of its own: PROTOCOL_ERROR", () => {
    for (const frame of [
      F.frame(5, 4, 1, [0, 0, 0, 2, 0x82]),
      F.headers(2, [[":status", "200"]]),
      F.headers(99, [[":status", "200"]]),
      F.data(7, "x")
    ]) {
      const { exchanges, wire } = client(1)
      const outcome = attack(wire, { part: () => frame, bound: BOUND, most: 1 })
      endedWith(wire, outcome, PROTOCOL_ERROR)
      assert.deepStrictEqual(exchanges[0]?.events, [`abort ${PROTOCOL_ERROR} true`])
    }
  })

  it("no streams allowed: calls are not made, and are when it changes its mind", () => {
    let offers = 0
    const wire = Wire.client({ onAvailable: () => void offers++ })
    wire.openServer([3, 0])
    assert.isUndefined(request(wire).stream)
    for (let i = 0; i < 100; i++) wire.send(F.settings([3, 0]))
    assert.strictEqual(offers, 0)
    wire.send(F.settings([3, 1]))
    assert.strictEqual(offers, 1)
    assert.isDefined(request(wire).stream)
  })
})

describe("peers that vanish", () => {
  it("half-open: an end of the peer's side aborts what is open, with CONNECT_ERROR, and holds nothing", () => {
    for (const wire of [Wire.server(), Wire.client()]) {
      const client = "exchanges" in wire ? undefined : wire
      if (client === undefined) wire.open()
      else client.openServer()
      const own = client === undefined ? undefined : request(client)
      if (own === undefined) wire.send(F.headers(1, F.POST), F.data(1, new Uint8Array(10_000)))
      wire.run()
      wire.duplex.emit("end")
      const exchange = own ?? (wire as ReturnType<typeof Wire.server>).exchanges[0]!
      assert.strictEqual(exchange.events.at(-1), `abort ${CONNECT_ERROR} true`)
      assert.isTrue(wire.duplex.destroyed)
      assert.isAtMost(wire.connection.heldBytes, 1024)
    }
  })

  it("the highest stream id leaves no room for another: PROTOCOL_ERROR for lower ones, idle ones never come", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(MAX_31, F.GET, F.END))
    wire.exchanges[0]?.stream?.headers(head, true)
    assert.deepStrictEqual(F.show(wire.frames()), [`HEADERS ${MAX_31} END`])
    wire.send(F.headers(MAX_31 - 2, F.GET, F.END))
    assert.strictEqual(F.show(wire.frames()).at(-1), `GOAWAY 0 ${MAX_31} ${PROTOCOL_ERROR}`)
  })
})
