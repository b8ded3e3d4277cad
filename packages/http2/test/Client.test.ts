import { assert, describe, it } from "@effect/vitest"
import type { ClientConnection } from "../src/ClientConnection.ts"
import { ErrorCode } from "../src/ErrorCode.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import type { Stream } from "../src/Stream.ts"
import * as F from "./support/Frames.ts"
import { Exchange, Wire } from "./support/Wire.ts"

const get = HeaderBlock.make(F.GET)
const post = HeaderBlock.make(F.POST)
const ok = (id: number, flags = 0): Uint8Array => F.headers(id, [[":status", "200"]], flags)

interface Call {
  readonly exchange: Exchange
  readonly stream: Stream | undefined
}

const call = (connection: ClientConnection, block = get, body?: Uint8Array, endStream = true): Call => {
  const exchange = new Exchange()
  const stream = connection.request(block, exchange, body, endStream)
  return { exchange, stream }
}

const opened = (options: Parameters<typeof Wire.client>[0] = {}, ...settings: ReadonlyArray<readonly [number, number]>) => {
  const wire = Wire.client(options)
  wire.openServer(...settings)
  return wire
}

describe("a client", () => {
  it("says the preface, refuses push, and may ask at once", () => {
    const wire = Wire.client()
    call(wire.connection)
    wire.run()
    const bytes = wire.bytes()
    assert.strictEqual(Buffer.from(bytes.subarray(0, 24)).toString(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    const frames = F.parse(bytes.subarray(24))
    assert.deepStrictEqual(F.show(frames), ["SETTINGS 0", "WINDOW_UPDATE 0 983041", "HEADERS 1 END"])
    assert.deepStrictEqual([...frames[0]!.payload.subarray(0, 6)], [0, 2, 0, 0, 0, 0])
    assert.strictEqual(wire.decode(frames[2]).path, "/a")
  })

  it("takes a response apart", () => {
    const wire = opened()
    const { exchange } = call(wire.connection, post, Buffer.from("abc"))
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1", "DATA 1 3 END"])
    wire.send(
      F.headers(1, [[":status", "100"]]),
      F.headers(1, [[":status", "103"]]),
      ok(1),
      F.data(1, "hello"),
      F.headers(1, [["x", "y"]], F.END)
    )
    assert.deepStrictEqual(exchange.events, ["informational 100", "informational 103", "head 200", "data hello", "trailers x y"])
    assert.strictEqual(wire.connection.openStreams, 0)
  })

  it("takes a response without a body, and one that ends with DATA", () => {
    const wire = opened()
    const [one, two] = [call(wire.connection), call(wire.connection)]
    wire.send(ok(1, F.END), ok(3), F.data(3, "x", F.END))
    assert.deepStrictEqual(one.exchange.events, ["head 200 end"])
    assert.deepStrictEqual(two.exchange.events, ["head 200", "data x end"])
    assert.isTrue(two.stream?.closed)
  })

  it("streams a request", () => {
    const wire = opened()
    const { stream } = call(wire.connection, post, undefined, false)
    stream?.data(Buffer.from("a"), false)
    wire.frames()
    stream?.data(Buffer.from("b"), false)
    stream?.trailers(HeaderBlock.make([["x-t", "1"]]))
    assert.deepStrictEqual(F.show(wire.frames()), ["DATA 1 1", "HEADERS 1 END"])
    assert.isFalse(stream?.closed)
  })

  it("keeps to the server's bound and says when a stream is free", () => {
    let available = 0
    const wire = opened({ onAvailable: () => available++ }, [3, 1])
    assert.strictEqual(wire.connection.maxConcurrentStreams, 1)
    assert.isDefined(call(wire.connection).stream)
    assert.isUndefined(call(wire.connection).stream)
    assert.strictEqual(available, 0)
    wire.send(ok(1, F.END))
    assert.strictEqual(available, 1)
    assert.isDefined(call(wire.connection).stream)
    assert.isUndefined(call(wire.connection).stream)
    wire.send(F.settings([3, 2]))
    assert.strictEqual(available, 2)
  })

  it("opens 100 streams before the settings come, any number after settings without a bound", () => {
    const wire = Wire.client()
    for (let i = 0; i < 100; i++) assert.isDefined(call(wire.connection).stream)
    assert.isUndefined(call(wire.connection).stream)
    wire.send(F.settings())
    assert.isDefined(call(wire.connection).stream)
  })

  it("tells which streams a server that goes away has not processed", () => {
    const seen: Array<number> = []
    const wire = opened({ onGoAway: (code, lastId, debug) => seen.push(code, lastId, debug.length) })
    const [one, two] = [call(wire.connection), call(wire.connection)]
    wire.send(F.goAway(1, 0))
    assert.deepStrictEqual(seen, [0, 1, 0])
    assert.deepStrictEqual(two.exchange.events, [`abort ${ErrorCode.REFUSED_STREAM} false`])
    assert.isUndefined(call(wire.connection).stream)
    assert.isTrue(wire.connection.closing)
    wire.send(ok(1, F.END))
    assert.deepStrictEqual(one.exchange.events, ["head 200 end"])
    assert.isTrue(wire.duplex.ended)
    assert.deepStrictEqual(wire.closes, [undefined])
  })

  it("reports the code of a GOAWAY with the loss that follows", () => {
    const wire = opened()
    const { exchange } = call(wire.connection)
    wire.send(F.goAway(1, ErrorCode.ENHANCE_YOUR_CALM))
    wire.duplex.emit("end")
    assert.deepStrictEqual(exchange.events, ["abort 11 true"])
    assert.match(wire.closes[0]?.message ?? "", /ENHANCE_YOUR_CALM/)
  })

  it("does not blame requests for the pace of pings", () => {
    const wire = opened()
    const { exchange } = call(wire.connection)
    wire.send(F.frame(7, 0, 0, [0, 0, 0, 1, 0, 0, 0, ErrorCode.ENHANCE_YOUR_CALM, ...Buffer.from("too_many_pings")]))
    wire.duplex.emit("end")
    assert.deepStrictEqual(exchange.events, [`abort ${ErrorCode.CONNECT_ERROR} true`])
  })

  it("knows what a lost connection has not told the server", () => {
    const wire = opened()
    const sent = call(wire.connection)
    wire.frames()
    const [one, two] = [call(wire.connection), call(wire.connection, post, Buffer.from("x"))]
    wire.duplex.emit("end")
    wire.run()
    assert.lengthOf(wire.bytes(), 0)
    const code = ErrorCode.CONNECT_ERROR
    assert.deepStrictEqual(
      [sent, one, two].map(({ exchange }) => exchange.events.join()),
      [`abort ${code} true`, `abort ${code} false`, `abort ${code} false`]
    )
  })

  it("nor what waited for a full socket; what leaves before the end counts as told", () => {
    const wire = opened()
    wire.duplex.open = false
    const one = call(wire.connection)
    wire.run()
    const two = call(wire.connection)
    wire.duplex.emit("end")
    assert.deepStrictEqual(
      [one, two].map(({ exchange }) => exchange.events.at(-1)?.split(" ")[2]),
      ["true", "false"]
    )
    const other = opened()
    const three = call(other.connection)
    other.send(F.data(9, "x")) // breaks the rules: our GOAWAY takes the request along
    assert.include(F.show(other.frames()), "HEADERS 1 END")
    assert.strictEqual(three.exchange.events.at(-1)?.split(" ")[2], "true")
  })

  it("says whether there is room, and when there is again", () => {
    let available = 0
    const wire = opened({ onAvailable: () => available++ }, [3, 1])
    assert.isTrue(wire.connection.hasRoom)
    call(wire.connection)
    assert.isFalse(wire.connection.hasRoom)
    wire.connection.awaitStream()
    wire.send(ok(1, F.END))
    assert.deepStrictEqual([available, wire.connection.hasRoom], [1, true])
    wire.connection.shutdown()
    assert.isFalse(wire.connection.hasRoom)
  })

  it("hears of a reset; REFUSED_STREAM means not processed; none after the response", () => {
    const wire = opened()
    const [one, two, three] = [call(wire.connection), call(wire.connection), call(wire.connection, post, undefined, false)]
    wire.send(F.reset(1, ErrorCode.REFUSED_STREAM), ok(3), F.data(3, "x"), F.reset(3, ErrorCode.INTERNAL_ERROR))
    wire.send(ok(5, F.END), F.reset(5, ErrorCode.NO_ERROR))
    assert.deepStrictEqual(one.exchange.events, ["abort 7 false"])
    assert.deepStrictEqual(two.exchange.events, ["head 200", "data x", "abort 2 true"])
    assert.deepStrictEqual(three.exchange.events, ["head 200 end"])
    assert.isTrue(three.stream?.closed)
  })

  it("cancels, and ignores what was on its way", () => {
    const wire = opened()
    const { exchange, stream } = call(wire.connection)
    wire.frames()
    stream?.reset(ErrorCode.CANCEL)
    wire.send(ok(1), F.data(1, "x"), F.headers(1, [["x", "y"]], F.END))
    assert.deepStrictEqual(F.show(wire.frames()), ["RST_STREAM 1 8"])
    assert.deepStrictEqual(exchange.events, [])
  })

  it("does not ask for a stream whose request has not left", () => {
    const wire = opened()
    wire.duplex.open = false
    call(wire.connection)
    wire.run()
    const { stream } = call(wire.connection)
    const third = call(wire.connection)
    stream?.reset(ErrorCode.CANCEL)
    wire.bytes()
    wire.drain()
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 5 END"])
    assert.isFalse(third.stream?.closed)
  })

  it("sends heads in the order of their ids, also when some had to wait", () => {
    const wire = opened()
    wire.duplex.open = false
    call(wire.connection)
    wire.run()
    for (let i = 0; i < 3; i++) call(wire.connection, post, Buffer.alloc(20_000))
    wire.bytes()
    wire.duplex.open = true
    wire.connection.sender.blocked = false
    call(wire.connection)
    const ids = wire.frames().flatMap(({ id, type }) => (type === 1 ? [id] : []))
    assert.deepStrictEqual(ids, [3, 5, 7, 9])
  })

  it("does not expect a body where there is none", () => {
    const wire = opened()
    const headRequest = HeaderBlock.make([[":method", "HEAD"], ...F.GET.slice(1)])
    const calls = [call(wire.connection, headRequest), call(wire.connection), call(wire.connection)]
    const length: readonly [string, string] = ["content-length", "10"]
    wire.send(
      F.headers(1, [[":status", "200"], length], F.END),
      F.headers(3, [[":status", "304"], length], F.END),
      F.headers(5, [[":status", "200"], length], F.END)
    )
    assert.deepStrictEqual(
      calls.map(({ exchange }) => exchange.events.join()),
      ["head 200 end", "head 304 end", `abort ${ErrorCode.PROTOCOL_ERROR} true`]
    )
  })

  it("goes away when told to, with the last stream", () => {
    const wire = opened()
    const { exchange } = call(wire.connection)
    wire.frames()
    wire.connection.shutdown()
    assert.deepStrictEqual(F.show(wire.frames()), ["GOAWAY 0 0 0"])
    assert.isFalse(wire.duplex.ended)
    wire.send(ok(1, F.END))
    assert.deepStrictEqual(exchange.events, ["head 200 end"])
    assert.isTrue(wire.duplex.destroyed)
    assert.deepStrictEqual(wire.closes, [undefined])
  })

  const bad: ReadonlyArray<readonly [what: string, stream: number, code: number, ...input: ReadonlyArray<Uint8Array>]> = [
    ["PUSH_PROMISE", 0, ErrorCode.PROTOCOL_ERROR, F.frame(5, 4, 1, [0, 0, 0, 2, 0x82])],
    ["ENABLE_PUSH of 1", 0, ErrorCode.PROTOCOL_ERROR, F.settings([2, 1])],
    ["a response on an idle stream", 0, ErrorCode.PROTOCOL_ERROR, ok(9)],
    ["a response on an even stream", 0, ErrorCode.PROTOCOL_ERROR, ok(2)],
    ["a response after its end", 0, ErrorCode.STREAM_CLOSED, ok(1, F.END), ok(1)],
    ["DATA before the head", 1, ErrorCode.PROTOCOL_ERROR, F.data(1, "x")],
    ["DATA after an informational head", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, [[":status", "100"]]), F.data(1, "x")],
    ["an informational head that ends", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, [[":status", "100"]], F.END)],
    ["status 101", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, [[":status", "101"]])],
    ["no status", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, [["a", "b"]])],
    ["a status that is no number", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, [[":status", "20x"]])],
    ["a request as a response", 1, ErrorCode.PROTOCOL_ERROR, F.headers(1, F.GET)],
    ["trailers that do not end", 1, ErrorCode.PROTOCOL_ERROR, ok(1), F.headers(1, [["a", "b"]])],
    [
      "a body above content-length",
      1,
      ErrorCode.PROTOCOL_ERROR,
      F.headers(1, [
        [":status", "200"],
        ["content-length", "1"]
      ]),
      F.data(1, "ab")
    ]
  ]
  for (const [what, stream, code, ...input] of bad) {
    it(`refuses ${what}`, () => {
      const wire = opened()
      const { exchange } = call(wire.connection)
      wire.frames()
      wire.send(...input)
      const said = F.show(wire.frames())
      assert.include(said, stream === 0 ? `GOAWAY 0 0 ${code}` : `RST_STREAM 1 ${code}`)
      assert.strictEqual(wire.connection.closed, stream === 0)
      if (!exchange.events.includes("head 200 end")) assert.strictEqual(exchange.events.at(-1), `abort ${code} true`)
    })
  }
})
