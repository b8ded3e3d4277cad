import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import * as F from "./support/Frames.ts"
import { Wire } from "./support/Wire.ts"

const head = HeaderBlock.make([[":status", "200"]])
const trailers = HeaderBlock.make([["x-t", "1"]])
const INITIAL_WINDOW = 4

const dataOf = (frames: ReadonlyArray<F.Frame>, id: number): Buffer =>
  Buffer.concat(frames.filter((frame) => frame.type === 0 && frame.id === id).map(({ payload }) => payload))

/** Bytes that say where they come from. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >>> 8)) & 255)

const requests = (wire: ReturnType<typeof Wire.server>, ...ids: ReadonlyArray<number>): void =>
  wire.send(...ids.map((id) => F.headers(id, F.GET, F.END)))

describe("sending", () => {
  it("waits with a window of 0 and goes on byte by byte", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 0])
    requests(wire, 1)
    wire.exchanges[0]?.stream?.respond(head, pattern(5), trailers)
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1"])
    const frames: Array<F.Frame> = []
    for (let i = 0; i < 5; i++) {
      wire.send(F.windowUpdate(1, 1))
      frames.push(...wire.frames())
    }
    assert.deepStrictEqual(F.show(frames), [...Array.from({ length: 5 }, () => "DATA 1 1"), "HEADERS 1 END"])
    assert.deepStrictEqual([...dataOf(frames, 1)], [...pattern(5)])
    assert.strictEqual(wire.connection.openStreams, 0)
  })

  it("does not wait for a window to end without data", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 0])
    requests(wire, 1, 3)
    wire.exchanges[0]?.stream?.respond(head, new Uint8Array(0), trailers)
    wire.exchanges[1]?.stream?.headers(head, false)
    wire.exchanges[1]?.stream?.data(new Uint8Array(0), true)
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1", "HEADERS 1 END", "HEADERS 3", "DATA 3 0 END"])
  })

  it("keeps to the window of the connection and lets streams take turns", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 1_000_000])
    requests(wire, 1, 3)
    for (const { stream } of wire.exchanges) stream?.respond(head, pattern(40_000), trailers)
    const first = wire.frames()
    assert.deepStrictEqual(F.show(first), ["HEADERS 1", "HEADERS 3", "DATA 1 16384", "DATA 3 16384", "DATA 1 16384", "DATA 3 16383"])
    wire.send(F.windowUpdate(0, 100_000))
    const rest = wire.frames()
    for (const id of [1, 3]) assert.isTrue(dataOf([...first, ...rest], id).equals(pattern(40_000)))
    assert.strictEqual(rest.filter(({ flags, type }) => type === 1 && (flags & 1) === 1).length, 2)
  })

  it("follows SETTINGS that shrink a window below zero and open it again", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 100])
    requests(wire, 1)
    wire.exchanges[0]?.stream?.respond(head, pattern(200), undefined)
    const sent = wire.frames()
    assert.strictEqual(dataOf(sent, 1).length, 100)
    wire.send(F.settings([INITIAL_WINDOW, 40]))
    wire.send(F.windowUpdate(1, 60))
    assert.strictEqual(dataOf(wire.frames(), 1).length, 0)
    wire.send(F.windowUpdate(1, 1))
    const one = wire.frames()
    assert.strictEqual(dataOf(one, 1).length, 1)
    wire.send(F.settings([INITIAL_WINDOW, 1000]))
    const rest = wire.frames()
    assert.isTrue(dataOf([...sent, ...one, ...rest], 1).equals(pattern(200)))
    assert.include(F.show(rest), "DATA 1 99 END")
  })

  it("lets streams take turns by 16 KiB whatever the peer would accept", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 1_000_000], [5, 100_000])
    wire.send(F.windowUpdate(0, 1_000_000))
    requests(wire, 1, 3)
    for (const { stream } of wire.exchanges) {
      stream?.headers(head, false)
      stream?.data(pattern(20_000), true)
    }
    assert.deepStrictEqual(F.show(wire.frames().filter(({ type }) => type === 0)), [
      "DATA 1 16384",
      "DATA 3 16384",
      "DATA 1 3616 END",
      "DATA 3 3616 END"
    ])
  })

  it("forgets a stream that is reset while it waits for the connection", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 1_000_000])
    requests(wire, 1, 3, 5, 7)
    const waiting = wire.connection.sender["waiting"]
    for (const { stream } of wire.exchanges) stream?.respond(head, pattern(100_000), undefined)
    wire.frames()
    assert.isFalse(waiting.isEmpty)
    for (const i of [1, 3, 0, 2]) wire.exchanges[i]?.stream?.reset(ErrorCode.CANCEL)
    assert.isTrue(waiting.isEmpty)
    requests(wire, 9)
    wire.exchanges[4]?.stream?.respond(head, pattern(100), undefined)
    wire.send(F.windowUpdate(0, 1000))
    assert.include(F.show(wire.frames()), "DATA 9 100 END")
  })

  it("keeps to the peer's frame size and joins small chunks into one frame", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 0])
    requests(wire, 1)
    const stream = wire.exchanges[0]!.stream!
    stream.headers(head, false)
    const body = pattern(1000)
    for (let i = 0; i < 1000; i += 10) assert.isTrue(stream.data(body.subarray(i, i + 10), i === 990))
    wire.frames()
    wire.send(F.windowUpdate(1, 905))
    const first = wire.frames()
    assert.deepStrictEqual(F.show(first), ["DATA 1 905"])
    wire.send(F.windowUpdate(1, 1000))
    const last = wire.frames()
    assert.deepStrictEqual(F.show(last), ["DATA 1 95 END"])
    assert.isTrue(dataOf([...first, ...last], 1).equals(body))
  })

  it("tells the producer to wait at the high-water mark and to go on below a quarter of it", () => {
    const wire = Wire.server({ highWaterMark: 1000 })
    wire.open([INITIAL_WINDOW, 0])
    requests(wire, 1)
    const [exchange] = wire.exchanges
    const stream = exchange!.stream!
    stream.headers(head, false)
    assert.isTrue(stream.data(pattern(999), false))
    assert.isFalse(stream.data(pattern(1), false))
    assert.isFalse(stream.data(pattern(1), false))
    wire.send(F.windowUpdate(1, 700))
    assert.strictEqual(exchange?.drains, 0)
    wire.send(F.windowUpdate(1, 100))
    assert.strictEqual(exchange?.drains, 1)
    wire.send(F.windowUpdate(1, 100))
    assert.strictEqual(exchange?.drains, 1)
  })

  it("stops when the socket is full and goes on when it drains", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 1_000_000])
    wire.send(F.windowUpdate(0, 1_000_000))
    requests(wire, 1, 3, 5, 7)
    wire.duplex.open = false
    wire.exchanges[0]?.stream?.respond(head, pattern(500_000), undefined)
    const first = wire.frames()
    assert.isBelow(dataOf(first, 1).length, 100_000)
    // Nothing of a stream is added to a full socket, whatever way it comes.
    wire.exchanges[1]?.stream?.respond(head, pattern(5), trailers)
    wire.exchanges[2]?.stream?.headers(head, true)
    wire.exchanges[3]?.stream?.headers(head, false)
    wire.exchanges[3]?.stream?.trailers(trailers)
    wire.send(F.ping())
    assert.deepStrictEqual(F.show(wire.frames()), ["PING 0 ACK"])
    assert.strictEqual(wire.connection.openStreams, 4)
    const rest: Array<F.Frame> = []
    for (let i = 0; i < 20 && wire.connection.openStreams > 0; i++) {
      wire.drain()
      rest.push(...wire.frames())
    }
    assert.isTrue(dataOf([...first, ...rest], 1).equals(pattern(500_000)))
    const others = F.show(rest.filter(({ id }) => id > 1))
    assert.deepStrictEqual(
      others,
      ["HEADERS 3", "DATA 3 5", "HEADERS 3 END", "HEADERS 5 END", "HEADERS 7", "HEADERS 7 END"].toSorted(byStream)
    )
    assert.strictEqual(wire.connection.openStreams, 0)
  })

  it("drops what is queued on a stream that is reset", () => {
    const wire = Wire.server()
    wire.open([INITIAL_WINDOW, 1_000_000])
    requests(wire, 1, 3)
    const [one, two] = wire.exchanges
    one?.stream?.respond(head, pattern(100_000), trailers)
    two?.stream?.respond(head, pattern(100_000), trailers)
    wire.frames()
    one?.stream?.reset(ErrorCode.CANCEL)
    one?.stream?.reset(ErrorCode.CANCEL)
    assert.deepStrictEqual(F.show(wire.frames()), ["RST_STREAM 1 8"])
    wire.send(F.windowUpdate(0, 1_000_000))
    const rest = wire.frames()
    assert.strictEqual(dataOf(rest, 1).length, 0)
    assert.isAbove(dataOf(rest, 3).length, 60_000)
    assert.deepStrictEqual(one?.events, ["headers GET /a end"])
  })
})

const byStream = (a: string, b: string): number => Number(a.split(" ")[1]) - Number(b.split(" ")[1])

describe("receiving", () => {
  it("opens the stream's window at half, as the receiver consumes", () => {
    const wire = Wire.server({ initialWindowSize: 1000, maxWindowSize: 0 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    const [exchange] = wire.exchanges
    exchange!.consume = false
    wire.send(F.data(1, "x".repeat(800)))
    assert.deepStrictEqual(F.show(wire.frames()), [])
    exchange?.stream?.consumed(499)
    assert.deepStrictEqual(F.show(wire.frames()), [])
    exchange?.stream?.consumed(1)
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 1 500"])
    // more than there was is not given back
    exchange?.stream?.consumed(10_000)
    assert.deepStrictEqual(F.show(wire.frames()), [])
    wire.send(F.data(1, "x".repeat(700)))
    assert.strictEqual(exchange?.received, 1500)
    exchange?.stream?.consumed(700)
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 1 1000"])
    wire.send(F.data(1, "x".repeat(1001)))
    assert.deepStrictEqual(F.show(wire.frames()), [`RST_STREAM 1 ${ErrorCode.FLOW_CONTROL_ERROR}`])
    assert.strictEqual(exchange?.events.at(-1), "abort 3 true")
  })

  it("opens the window of the connection as data arrives", () => {
    const wire = Wire.server({ connectionWindowSize: 65_535, initialWindowSize: 100_000 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.exchanges[0]!.consume = false
    wire.send(F.data(1, "x".repeat(16_384)))
    assert.deepStrictEqual(F.show(wire.frames()), [])
    wire.send(F.data(1, "x".repeat(16_384)))
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 0 32768"])
  })

  it("holds the peer to the window of the connection", () => {
    const wire = Wire.server({ connectionWindowSize: 65_535, initialWindowSize: 1_000_000, maxFrameSize: 200_000 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    for (let i = 0; i < 10; i++) wire.send(F.data(1, "x".repeat(30_000)))
    assert.isFalse(wire.connection.closed)
    wire.send(F.data(1, "x".repeat(70_000)))
    assert.strictEqual(F.show(wire.frames()).at(-1), `GOAWAY 0 1 ${ErrorCode.FLOW_CONTROL_ERROR}`)
    assert.strictEqual(wire.exchanges[0]?.received, 300_000)
  })

  it("counts the data of finished streams for the connection", () => {
    const wire = Wire.server({ connectionWindowSize: 65_535 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.exchanges[0]?.stream?.reset(ErrorCode.CANCEL)
    wire.frames()
    wire.send(F.data(1, "x".repeat(16_384)), F.data(1, "x".repeat(16_384)))
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 0 32768"])
  })

  it("gives padding back by itself", () => {
    const wire = Wire.server({ initialWindowSize: 400, maxWindowSize: 0 })
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.exchanges[0]!.consume = false
    wire.send(F.frame(0, 8, 1, [199, ...Buffer.alloc(1, "x"), ...new Uint8Array(199)]))
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 1 200"])
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers POST /a", "data x"])
  })

  it("takes what the peer may send before it knows of a smaller window", () => {
    const wire = Wire.server({ initialWindowSize: 10, maxWindowSize: 0 })
    wire.frames()
    wire.send(F.PREFACE, F.settings(), F.headers(1, F.POST), F.data(1, "x".repeat(10_000)))
    assert.strictEqual(wire.exchanges[0]?.received, 10_000)
    wire.frames()
    // The peer now counts 10,000 bytes more than its window, all of them consumed.
    wire.send(F.SETTINGS_ACK)
    assert.deepStrictEqual(F.show(wire.frames()), ["WINDOW_UPDATE 1 10000"])
    wire.send(F.data(1, "x".repeat(10)))
    assert.strictEqual(wire.exchanges[0]?.received, 10_010)
    wire.send(F.headers(3, F.POST), F.data(3, "x".repeat(11)))
    assert.include(F.show(wire.frames()), `RST_STREAM 3 ${ErrorCode.FLOW_CONTROL_ERROR}`)
  })
})
