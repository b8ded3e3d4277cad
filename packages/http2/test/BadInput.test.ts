import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import * as F from "./support/Frames.ts"
import { Wire } from "./support/Wire.ts"

const { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, STREAM_CLOSED } = ErrorCode

const open = F.headers(1, F.POST)
const whole = F.headers(1, F.GET, F.END)
const without = (name: string): typeof F.GET => F.GET.filter(([other]) => other !== name)
const withField = (name: string, value: string): typeof F.GET => [...F.GET, [name, value]]

/** Input after the handshake; the error that the RFC asks for, of the connection (stream 0) or of one stream. */
const cases: ReadonlyArray<readonly [what: string, stream: number, code: number, ...input: ReadonlyArray<Uint8Array>]> = [
  // section 4
  ["a frame above the size limit", 0, FRAME_SIZE_ERROR, F.frame(0x42, 0, 0, new Uint8Array(16_385))],
  ["a header block that is no HPACK", 0, COMPRESSION_ERROR, F.frame(1, 5, 1, [0x80])],
  // section 5
  ["an even stream id", 0, PROTOCOL_ERROR, F.headers(2, F.GET, F.END)],
  ["a stream id that was skipped", 0, PROTOCOL_ERROR, F.headers(5, F.GET, F.END), F.headers(3, F.GET, F.END)],
  ["HEADERS on a finished stream", 0, STREAM_CLOSED, open, F.reset(1, 8), whole],
  ["DATA on a finished stream", 1, STREAM_CLOSED, open, F.reset(1, 8), F.data(1, "x")],
  ["DATA after END_STREAM", 1, STREAM_CLOSED, whole, F.data(1, "x")],
  ["HEADERS after END_STREAM", 1, STREAM_CLOSED, whole, whole],
  ["DATA on an idle stream", 0, PROTOCOL_ERROR, F.data(1, "x")],
  ["RST_STREAM on an idle stream", 0, PROTOCOL_ERROR, F.reset(1, 8)],
  ["WINDOW_UPDATE on an idle stream", 0, PROTOCOL_ERROR, F.windowUpdate(1, 1)],
  // section 6
  ["DATA on stream 0", 0, PROTOCOL_ERROR, F.data(0, "x")],
  ["DATA padding as long as its frame", 0, PROTOCOL_ERROR, open, F.frame(0, 8, 1, [2, 0])],
  ["padded DATA without a pad length", 0, FRAME_SIZE_ERROR, open, F.frame(0, 8, 1, [])],
  ["HEADERS on stream 0", 0, PROTOCOL_ERROR, F.headers(0, F.GET)],
  ["HEADERS padding longer than its frame", 0, PROTOCOL_ERROR, F.frame(1, 12, 1, [9, 0x82])],
  ["HEADERS too short for a priority", 0, FRAME_SIZE_ERROR, F.frame(1, 0x24, 1, [0, 0])],
  ["a stream that depends on itself", 0, PROTOCOL_ERROR, F.frame(1, 0x25, 1, [0, 0, 0, 1, 0, ...F.rawBlock(F.GET)])],
  ["PRIORITY of a wrong size", 1, FRAME_SIZE_ERROR, open, F.frame(2, 0, 1, [0, 0, 0, 0])],
  ["PRIORITY on stream 0", 0, PROTOCOL_ERROR, F.frame(2, 0, 0, [0, 0, 0, 0, 0])],
  ["RST_STREAM on stream 0", 0, PROTOCOL_ERROR, F.reset(0, 8)],
  ["RST_STREAM of a wrong size", 0, FRAME_SIZE_ERROR, open, F.frame(3, 0, 1, [0, 0])],
  ["SETTINGS on a stream", 0, PROTOCOL_ERROR, F.frame(4, 0, 1)],
  ["SETTINGS of a wrong size", 0, FRAME_SIZE_ERROR, F.frame(4, 0, 0, [0, 0, 0])],
  ["SETTINGS acknowledgement with a payload", 0, FRAME_SIZE_ERROR, F.frame(4, 1, 0, [0, 0, 0, 0, 0, 0])],
  ["ENABLE_PUSH of 2", 0, PROTOCOL_ERROR, F.settings([2, 2])],
  ["INITIAL_WINDOW_SIZE above 2^31 - 1", 0, FLOW_CONTROL_ERROR, F.settings([4, 0x80000000])],
  ["MAX_FRAME_SIZE below 2^14", 0, PROTOCOL_ERROR, F.settings([5, 16_383])],
  ["MAX_FRAME_SIZE above 2^24 - 1", 0, PROTOCOL_ERROR, F.settings([5, 16_777_216])],
  ["PUSH_PROMISE", 0, PROTOCOL_ERROR, open, F.frame(5, 4, 1, [0, 0, 0, 2])],
  ["PING on a stream", 0, PROTOCOL_ERROR, F.frame(6, 0, 1, new Uint8Array(8))],
  ["PING of a wrong size", 0, FRAME_SIZE_ERROR, F.frame(6, 0, 0, new Uint8Array(7))],
  ["GOAWAY on a stream", 0, PROTOCOL_ERROR, F.frame(7, 0, 1, new Uint8Array(8))],
  ["GOAWAY too short", 0, FRAME_SIZE_ERROR, F.frame(7, 0, 0, new Uint8Array(7))],
  ["WINDOW_UPDATE of a wrong size", 0, FRAME_SIZE_ERROR, F.frame(8, 0, 0, [0, 0, 1])],
  ["WINDOW_UPDATE by 0", 0, PROTOCOL_ERROR, F.windowUpdate(0, 0)],
  ["WINDOW_UPDATE by 0 on a stream", 1, PROTOCOL_ERROR, open, F.windowUpdate(1, 0)],
  ["a window above 2^31 - 1", 0, FLOW_CONTROL_ERROR, F.windowUpdate(0, 0x7fffffff)],
  ["a stream window above 2^31 - 1", 1, FLOW_CONTROL_ERROR, open, F.windowUpdate(1, 0x7fffffff)],
  ["a stream window above 2^31 - 1 by SETTINGS", 0, FLOW_CONTROL_ERROR, open, F.windowUpdate(1, 1000), F.settings([4, 0x7fffffff])],
  ["CONTINUATION without HEADERS", 0, PROTOCOL_ERROR, open, F.frame(9, 4, 1, [0x82])],
  ["CONTINUATION of another stream", 0, PROTOCOL_ERROR, F.frame(1, 1, 1, [0x82]), F.frame(9, 4, 3, [0x82])],
  ["a frame inside a header block", 0, PROTOCOL_ERROR, F.frame(1, 1, 1, [0x82]), F.ping()],
  ["DATA inside a header block", 0, PROTOCOL_ERROR, F.frame(1, 1, 1, [0x82]), F.data(1, "x")],
  ["an unknown frame inside a header block", 0, PROTOCOL_ERROR, F.frame(1, 1, 1, [0x82]), F.frame(0x42, 0, 1)],
  // section 8
  ["a name in upper case", 1, PROTOCOL_ERROR, F.headers(1, withField("X-Up", "1"), F.END)],
  ["an empty name", 1, PROTOCOL_ERROR, F.headers(1, withField("", "1"), F.END)],
  ["a name with a space", 1, PROTOCOL_ERROR, F.headers(1, withField("a b", "1"), F.END)],
  ["a value with a line feed", 1, PROTOCOL_ERROR, F.headers(1, withField("a", "b\nc"), F.END)],
  ["a value with a NUL", 1, PROTOCOL_ERROR, F.headers(1, withField("a", "b\0"), F.END)],
  ["a value with white space around", 1, PROTOCOL_ERROR, F.headers(1, withField("a", " b"), F.END)],
  ["an unknown pseudo field", 1, PROTOCOL_ERROR, F.headers(1, [[":x", "1"], ...F.GET], F.END)],
  ["a response pseudo field", 1, PROTOCOL_ERROR, F.headers(1, [[":status", "200"], ...F.GET], F.END)],
  ["a pseudo field after a regular one", 1, PROTOCOL_ERROR, F.headers(1, [["a", "1"], ...F.GET], F.END)],
  ["a pseudo field twice", 1, PROTOCOL_ERROR, F.headers(1, [[":path", "/"], ...F.GET], F.END)],
  ["no :method", 1, PROTOCOL_ERROR, F.headers(1, without(":method"), F.END)],
  ["no :scheme", 1, PROTOCOL_ERROR, F.headers(1, without(":scheme"), F.END)],
  ["no :path", 1, PROTOCOL_ERROR, F.headers(1, without(":path"), F.END)],
  ["an empty :path", 1, PROTOCOL_ERROR, F.headers(1, [[":path", ""], ...without(":path")], F.END)],
  ["a :path that is no path", 1, PROTOCOL_ERROR, F.headers(1, [[":path", "a"], ...without(":path")], F.END)],
  [
    "extended CONNECT, which is not offered",
    1,
    PROTOCOL_ERROR,
    F.headers(1, [[":protocol", "websocket"], [":method", "CONNECT"], ...without(":method")])
  ],
  ["CONNECT with a path", 1, PROTOCOL_ERROR, F.headers(1, [[":method", "CONNECT"], ...without(":method")])],
  ["a host that is not the authority", 1, PROTOCOL_ERROR, F.headers(1, withField("host", "other"), F.END)],
  ["connection", 1, PROTOCOL_ERROR, F.headers(1, withField("connection", "close"), F.END)],
  ["proxy-connection", 1, PROTOCOL_ERROR, F.headers(1, withField("proxy-connection", "close"), F.END)],
  ["keep-alive", 1, PROTOCOL_ERROR, F.headers(1, withField("keep-alive", "1"), F.END)],
  ["transfer-encoding", 1, PROTOCOL_ERROR, F.headers(1, withField("transfer-encoding", "chunked"), F.END)],
  ["upgrade", 1, PROTOCOL_ERROR, F.headers(1, withField("upgrade", "x"), F.END)],
  ["te other than trailers", 1, PROTOCOL_ERROR, F.headers(1, withField("te", "gzip"), F.END)],
  ["content-length that is no number", 1, PROTOCOL_ERROR, F.headers(1, withField("content-length", "1x"))],
  ["two values of content-length", 1, PROTOCOL_ERROR, F.headers(1, [...withField("content-length", "1"), ["content-length", "2"]])],
  ["content-length without a body", 1, PROTOCOL_ERROR, F.headers(1, withField("content-length", "1"), F.END)],
  ["a body above content-length", 1, PROTOCOL_ERROR, F.headers(1, withField("content-length", "1")), F.data(1, "ab")],
  ["a body below content-length", 1, PROTOCOL_ERROR, F.headers(1, withField("content-length", "3")), F.data(1, "ab", F.END)],
  ["trailers below content-length", 1, PROTOCOL_ERROR, F.headers(1, withField("content-length", "3")), F.headers(1, [["a", "b"]], F.END)],
  ["trailers without END_STREAM", 1, PROTOCOL_ERROR, open, F.headers(1, [["a", "b"]])],
  ["trailers with a pseudo field", 1, PROTOCOL_ERROR, open, F.headers(1, F.GET, F.END)],
  [
    "a header list above the limit",
    1,
    ENHANCE_YOUR_CALM,
    F.headers(1, [...F.GET, ...Array.from({ length: 2040 }, () => ["a", "b"] as const)], F.END)
  ]
]

describe("bad input to a server", () => {
  for (const [what, stream, code, ...input] of cases) {
    it(`${what}: ${stream === 0 ? "the connection" : "the stream"} ends with ${code}`, () => {
      for (const size of [1 << 20, 1]) {
        const wire = Wire.server()
        wire.open()
        const all = Buffer.concat(input)
        for (let at = 0; at < all.length; at += size) wire.send(all.subarray(at, at + size))
        const said = F.show(wire.frames())
        if (stream === 0) {
          assert.match(said.at(-1) ?? "", new RegExp(`^GOAWAY 0 \\d+ ${code}$`))
          assert.isTrue(wire.duplex.ended)
          assert.strictEqual(wire.connection.openStreams, 0)
        } else {
          assert.include(said, `RST_STREAM ${stream} ${code}`)
          assert.isFalse(wire.connection.closed)
          wire.send(F.headers(99, F.GET, F.END))
          assert.strictEqual(wire.exchanges.at(-1)?.events[0], "headers GET /a end")
        }
        for (const { events } of wire.exchanges) assert.isAtMost(events.filter((event) => event.startsWith("abort")).length, 1)
      }
    })
  }

  it("wants the preface", () => {
    const wire = Wire.server()
    wire.frames()
    wire.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"))
    assert.deepStrictEqual(F.show(wire.frames()), [`GOAWAY 0 0 ${PROTOCOL_ERROR}`])
  })

  it("wants SETTINGS first", () => {
    for (const first of [whole, F.ping(), F.data(1, "x"), F.SETTINGS_ACK]) {
      const wire = Wire.server()
      wire.frames()
      wire.send(F.PREFACE, first)
      assert.deepStrictEqual(F.show(wire.frames()), [`GOAWAY 0 0 ${PROTOCOL_ERROR}`])
    }
  })

  it("holds the peer to the table size that it has acknowledged", () => {
    const indexing = F.frame(1, 5, 1, [...F.rawBlock(F.GET), 0x40, 1, 97, 1, 98])
    const wire = Wire.server({ headerTableSize: 0 })
    wire.frames()
    wire.send(F.PREFACE, F.settings(), indexing)
    assert.isFalse(wire.connection.closed)
    wire.send(F.SETTINGS_ACK, F.headers(3, F.GET, F.END))
    assert.strictEqual(F.show(wire.frames()).at(-1), `GOAWAY 0 1 ${COMPRESSION_ERROR}`)
  })

  it("ignores what it does not know", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(
      F.frame(0x42, 0xff, 7, [1, 2]),
      F.settings([0xabc, 1]),
      F.frame(2, 0, 9, [0, 0, 0, 3, 1]),
      F.frame(1, 0x2d, 1, [2, 0, 0, 0, 3, 1, ...F.rawBlock(F.GET), 0, 0])
    )
    assert.deepStrictEqual(F.show(wire.frames()), ["SETTINGS 0 ACK"])
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers GET /a end"])
  })

  it("accepts CONNECT, OPTIONS * and te: trailers", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(
      F.headers(1, [
        [":method", "CONNECT"],
        [":authority", "host:1"]
      ]),
      F.headers(
        3,
        [
          [":method", "OPTIONS"],
          [":scheme", "http"],
          [":path", "*"]
        ],
        F.END
      ),
      F.headers(5, withField("te", "trailers"), F.END)
    )
    assert.deepStrictEqual(
      wire.exchanges.map(({ events }) => events[0]),
      ["headers CONNECT ", "headers OPTIONS * end", "headers GET /a end"]
    )
  })
})
