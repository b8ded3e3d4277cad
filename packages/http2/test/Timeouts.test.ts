import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import * as F from "./support/Frames.ts"
import { Exchange, Wire } from "./support/Wire.ts"

const head = HeaderBlock.make([[":status", "200"]])
const get = HeaderBlock.make([
  [":method", "GET"],
  [":scheme", "http"],
  [":authority", "a"],
  [":path", "/"]
])

const goAwayOf = (frames: ReadonlyArray<F.Frame>): { readonly code: number; readonly debug: string } | undefined => {
  const frame = frames.findLast(({ type }) => type === 7)
  if (frame === undefined) return undefined
  const payload = Buffer.from(frame.payload)
  return { code: payload.readUInt32BE(4), debug: payload.toString("latin1", 8) }
}

const pings = (frames: ReadonlyArray<F.Frame>): Array<F.Frame> => frames.filter(({ flags, type }) => type === 6 && (flags & 1) === 0)
const pong = (ping: F.Frame | undefined): Uint8Array => F.frame(6, 1, 0, ping!.payload)

describe("the start of a connection", () => {
  for (const [what, bytes, code] of [
    ["nothing", [], ErrorCode.PROTOCOL_ERROR],
    ["half a preface", [F.PREFACE.subarray(0, 12)], ErrorCode.PROTOCOL_ERROR],
    ["no settings", [F.PREFACE], ErrorCode.SETTINGS_TIMEOUT],
    ["no acknowledgement of ours", [F.PREFACE, F.settings()], ErrorCode.SETTINGS_TIMEOUT]
  ] as const) {
    it(`ends when the client sends ${what} in time`, () => {
      const wire = Wire.server({ settingsTimeout: 5000 })
      if (bytes.length > 0) wire.send(...bytes)
      wire.elapse(4999)
      assert.isUndefined(goAwayOf(wire.frames()))
      wire.elapse(1)
      assert.strictEqual(goAwayOf(wire.frames())?.code, code)
      assert.isTrue(wire.connection.closed)
      assert.strictEqual(wire.pending, 0)
    })
  }

  it("ends when a server says nothing, and its streams hear of it", () => {
    const wire = Wire.client({ settingsTimeout: 5000 })
    const exchange = new Exchange()
    wire.connection.request(get, exchange)
    wire.run()
    wire.bytes() // the preface is no frame
    wire.elapse(5000)
    assert.strictEqual(goAwayOf(wire.frames())?.code, ErrorCode.SETTINGS_TIMEOUT)
    assert.deepStrictEqual(exchange.events, [`abort ${ErrorCode.SETTINGS_TIMEOUT} true`])
  })

  it("costs no timer once it is over", () => {
    const wire = Wire.server()
    wire.open()
    assert.strictEqual(wire.pending, 1)
    wire.elapse(10_000)
    assert.isFalse(wire.connection.closed)
    assert.strictEqual(wire.pending, 0)
  })
})

describe("a peer that stalls", () => {
  const block = F.block(F.GET)

  it("has so long for a header block, however many frames it comes in", () => {
    const wire = Wire.server({ headerTimeout: 1000 })
    wire.open()
    wire.elapse(20_000)
    wire.send(F.frame(1, 1, 1, block.subarray(0, 1)))
    for (let i = 1; i < 5; i++) {
      wire.elapse(200)
      wire.send(F.frame(9, 0, 1, block.subarray(i, i + 1)))
    }
    wire.elapse(199)
    assert.isFalse(wire.connection.closed)
    wire.elapse(1)
    assert.strictEqual(goAwayOf(wire.frames())?.code, ErrorCode.ENHANCE_YOUR_CALM)
    assert.strictEqual(wire.exchanges.length, 0)
  })

  it("has so long for a frame, however many chunks it comes in", () => {
    const wire = Wire.server({ headerTimeout: 1000 })
    wire.open()
    const bytes = F.headers(1, F.GET, F.END)
    for (let i = 0; i < 10; i++) {
      wire.send(bytes.subarray(i, i + 1))
      wire.elapse(99)
    }
    assert.isFalse(wire.connection.closed)
    wire.elapse(10)
    assert.strictEqual(goAwayOf(wire.frames())?.code, ErrorCode.ENHANCE_YOUR_CALM)
  })

  it("is not one that is always in the middle of another frame", () => {
    const wire = Wire.server({ headerTimeout: 1000 })
    wire.open()
    const bytes = Buffer.concat(Array.from({ length: 100 }, (_, i) => F.headers(1 + 2 * i, F.GET, F.END)))
    const step = bytes.length / 100 - 1
    for (let at = 0; at < bytes.length; at += step) {
      wire.send(bytes.subarray(at, at + step))
      wire.elapse(900)
    }
    assert.isFalse(wire.connection.closed)
    assert.strictEqual(wire.exchanges.length, 100)
  })

  it("may send a body as slowly as it likes", () => {
    const wire = Wire.server({ headerTimeout: 1000 })
    wire.open()
    const bytes = F.data(1, "slow", F.END)
    wire.send(F.headers(1, F.POST), bytes.subarray(0, 9))
    for (let i = 9; i < bytes.length; i++) {
      wire.elapse(60_000)
      wire.send(bytes.subarray(i, i + 1))
    }
    assert.deepStrictEqual(wire.exchanges[0]?.events.at(-1), "data w end")
  })

  it("is cut off when it does not read, and not while it reads a little", () => {
    const wire = Wire.server({ writeTimeout: 1000 })
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    wire.duplex.open = false
    wire.duplex.writableLength = 100_000
    wire.exchanges[0]?.stream?.respond(head, new Uint8Array(10), undefined)
    wire.run()
    for (let i = 1; i <= 5; i++) {
      wire.elapse(999)
      wire.duplex.writableLength -= 1000
      wire.elapse(1)
    }
    assert.isFalse(wire.connection.closed)
    wire.elapse(1000)
    assert.isTrue(wire.duplex.destroyed)
    assert.match(String(wire.closes[0]), /does not read/)
    assert.strictEqual(wire.pending, 0)
  })

  it("is left alone when it reads again", () => {
    const wire = Wire.server({ writeTimeout: 1000 })
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    for (let i = 0; i < 10; i++) {
      wire.duplex.open = false
      wire.exchanges[0]?.stream?.headers(HeaderBlock.make([[":status", "103"]]), false)
      wire.run()
      wire.elapse(900)
      wire.drain()
    }
    wire.elapse(5000)
    assert.isFalse(wire.connection.closed)
  })
})

describe("an answer whose rest waits for a window", () => {
  const open = (flushTimeout: number) => {
    const wire = Wire.server({ flushTimeout })
    wire.open([4, 10])
    wire.send(F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END))
    return wire
  }

  it("is given up when nothing of it leaves for the time, and costs no timer after that", () => {
    const wire = open(1000)
    wire.exchanges[0]?.stream?.respond(head, new Uint8Array(100_000), undefined)
    wire.frames()
    assert.isAbove(wire.connection.heldBytes, 90_000)
    wire.elapse(1999)
    assert.deepStrictEqual(F.show(wire.frames()), [])
    wire.elapse(1)
    assert.deepStrictEqual(F.show(wire.frames()), [`RST_STREAM 1 ${ErrorCode.CANCEL}`])
    assert.strictEqual(wire.exchanges[0]?.events.at(-1), `abort ${ErrorCode.CANCEL} true`)
    assert.isBelow(wire.connection.heldBytes, 1000)
    assert.strictEqual(wire.connection.openStreams, 1)
    wire.elapse(1000)
    assert.strictEqual(wire.pending, 0)
  })

  it("is not while a byte of it leaves in each time, nor when it has left", () => {
    const wire = open(1000)
    wire.exchanges[0]?.stream?.respond(head, new Uint8Array(20), undefined)
    for (let i = 0; i < 10; i++) {
      wire.elapse(1000)
      wire.send(F.windowUpdate(1, 1))
    }
    assert.strictEqual(F.show(wire.frames()).at(-1), "DATA 1 1 END")
    wire.elapse(5000)
    assert.strictEqual(wire.pending, 0)
  })

  it("is not while its handler is at work, nor for ever when that is asked for", () => {
    const wire = open(1000)
    wire.exchanges[0]?.stream?.headers(head, false)
    wire.exchanges[0]?.stream?.data(new Uint8Array(100), false)
    wire.elapse(10_000)
    assert.strictEqual(wire.connection.openStreams, 2)
    const patient = open(0)
    patient.exchanges[0]?.stream?.respond(head, new Uint8Array(100), undefined)
    patient.elapse(1e9)
    assert.strictEqual(patient.connection.openStreams, 2)
    assert.strictEqual(patient.pending, 0)
  })
})

describe("keep-alive", () => {
  const options = { keepAliveInterval: 1000, keepAliveTimeout: 300, keepAliveWithoutStreams: true }

  it("asks a silent peer, again and again while it answers", () => {
    const wire = Wire.server(options)
    wire.open()
    for (let i = 0; i < 5; i++) {
      wire.elapse(999)
      assert.lengthOf(pings(wire.frames()), 0)
      wire.elapse(1)
      const [ping] = pings(wire.frames())
      wire.send(pong(ping))
    }
    assert.isFalse(wire.connection.closed)
  })

  it("asks nobody who speaks", () => {
    const wire = Wire.server(options)
    wire.open()
    for (let i = 0; i < 20; i++) {
      wire.elapse(900)
      wire.send(F.windowUpdate(0, 1))
    }
    assert.lengthOf(pings(wire.frames()), 0)
  })

  it("ends a connection whose peer does not answer, and its streams hear of it", () => {
    const wire = Wire.server(options)
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.elapse(1299)
    assert.isFalse(wire.connection.closed)
    wire.elapse(1)
    assert.isTrue(wire.duplex.destroyed)
    assert.match(String(wire.closes[0]), /keep-alive/)
    assert.strictEqual(wire.exchanges[0]?.events.at(-1), `abort ${ErrorCode.CONNECT_ERROR} true`)
  })

  it("takes whatever comes for an answer", () => {
    const wire = Wire.server(options)
    wire.open()
    wire.elapse(1200)
    assert.lengthOf(pings(wire.frames()), 1)
    wire.send(F.windowUpdate(0, 1))
    wire.elapse(999)
    assert.isFalse(wire.connection.closed)
    assert.lengthOf(pings(wire.frames()), 0)
    wire.elapse(1)
    assert.lengthOf(pings(wire.frames()), 1)
  })

  it("of a client needs a stream, and costs no timer without one", () => {
    const wire = Wire.client({ ...options, keepAliveWithoutStreams: false, settingsTimeout: 0 })
    wire.openServer()
    wire.elapse(100_000)
    assert.lengthOf(pings(wire.frames()), 0)
    assert.strictEqual(wire.pending, 0)
    const exchange = new Exchange()
    const stream = wire.connection.request(get, exchange)
    wire.elapse(0)
    // it has been silent for long enough
    const [ping] = pings(wire.frames())
    assert.isDefined(ping)
    wire.send(pong(ping))
    wire.elapse(1000)
    assert.lengthOf(pings(wire.frames()), 1)
    wire.elapse(300)
    assert.isTrue(wire.connection.closed)
    assert.isTrue(stream?.closed)
  })
})

describe("a client that pings", () => {
  const options = { minPingInterval: 300_000, settingsTimeout: 0 }
  const HOUR = 3_600_000
  const tooMany = { code: ErrorCode.ENHANCE_YOUR_CALM, debug: "too_many_pings" }

  it("gets two strikes", () => {
    const wire = Wire.server(options)
    wire.open()
    wire.send(F.headers(1, F.POST))
    for (let i = 0; i < 3; i++) wire.send(F.ping())
    assert.isFalse(wire.connection.closed)
    assert.lengthOf(wire.frames(), 3)
    wire.send(F.ping())
    assert.deepStrictEqual(goAwayOf(wire.frames()), tooMany)
  })

  it("may do so at the interval with a stream, every two hours without", () => {
    const wire = Wire.server(options)
    wire.open()
    wire.send(F.headers(1, F.POST))
    for (let i = 0; i < 10; i++) {
      wire.send(F.ping())
      wire.elapse(300_000)
    }
    wire.exchanges[0]?.stream?.reset(ErrorCode.CANCEL)
    wire.frames()
    for (let i = 0; i < 10; i++) {
      wire.elapse(2 * HOUR)
      wire.send(F.ping())
    }
    assert.isFalse(wire.connection.closed)
    for (let i = 0; i < 3; i++) {
      wire.elapse(300_000)
      wire.send(F.ping())
    }
    assert.deepStrictEqual(goAwayOf(wire.frames()), tooMany)
  })

  it("may do so at the interval without a stream where that is permitted", () => {
    const wire = Wire.server({ ...options, pingsWithoutStreams: true })
    wire.open()
    for (let i = 0; i < 10; i++) {
      wire.send(F.ping())
      wire.elapse(300_000)
    }
    assert.isFalse(wire.connection.closed)
  })

  it("may measure the bandwidth while it is sent data", () => {
    const wire = Wire.server(options)
    wire.open([4, 1_000_000])
    wire.send(F.headers(1, F.POST))
    const { stream } = wire.exchanges[0]!
    stream?.headers(head, false)
    for (let i = 0; i < 100; i++) {
      stream?.data(new Uint8Array(100), false)
      wire.run()
      wire.send(F.ping())
    }
    assert.isFalse(wire.connection.closed)
    for (let i = 0; i < 3; i++) wire.send(F.ping())
    assert.deepStrictEqual(goAwayOf(wire.frames()), tooMany)
  })

  it("may do as it likes where nobody minds", () => {
    const wire = Wire.server({ settingsTimeout: 0 })
    wire.open()
    for (let i = 0; i < 100; i++) wire.send(F.ping())
    assert.isFalse(wire.connection.closed)
  })
})

describe("a connection without streams", () => {
  it("is shut down after its time", () => {
    const wire = Wire.server({ maxIdle: 1000, settingsTimeout: 0 })
    wire.open()
    wire.elapse(500)
    wire.send(F.headers(1, F.GET, F.END))
    wire.elapse(5000)
    wire.exchanges[0]?.stream?.respond(head, new Uint8Array(1), undefined)
    wire.elapse(999)
    assert.isUndefined(goAwayOf(wire.frames()))
    wire.elapse(1)
    const frames = wire.frames()
    assert.deepStrictEqual(goAwayOf(frames), { code: ErrorCode.NO_ERROR, debug: "max_idle" })
    assert.isFalse(wire.connection.closed)
    // a request that was on its way is served
    wire.send(F.headers(3, F.GET, F.END), pong(pings(frames)[0]))
    assert.strictEqual(wire.exchanges.length, 2)
    wire.exchanges[1]?.stream?.respond(head, new Uint8Array(1), undefined)
    assert.deepStrictEqual(F.show(wire.frames()), ["GOAWAY 0 3 0", "HEADERS 3", "DATA 3 1 END"])
    assert.isTrue(wire.duplex.ended)
  })

  it("does not wait for ever for a peer that does not acknowledge the end", () => {
    const wire = Wire.server({ maxIdle: 1000, keepAliveTimeout: 200, settingsTimeout: 0 })
    wire.open()
    wire.elapse(1199)
    assert.isFalse(wire.connection.closed)
    wire.elapse(1)
    assert.isTrue(wire.connection.closed)
    assert.strictEqual(wire.pending, 0)
  })

  it("of a client is ended at once", () => {
    const wire = Wire.client({ maxIdle: 1000, settingsTimeout: 0 })
    wire.openServer()
    const exchange = new Exchange()
    const stream = wire.connection.request(get, exchange)
    wire.elapse(5000)
    stream?.reset(ErrorCode.CANCEL)
    wire.elapse(999)
    assert.isFalse(wire.connection.closing)
    wire.elapse(1)
    assert.isTrue(wire.connection.closed)
  })
})
