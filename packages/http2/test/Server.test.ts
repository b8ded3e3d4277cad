import { assert, describe, it } from "@effect/vitest"
import { ErrorCode } from "../src/ErrorCode.ts"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import * as F from "./support/Frames.ts"
import { Wire } from "./support/Wire.ts"

const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "application/grpc"]
])
const trailers = HeaderBlock.make([["grpc-status", "0"]])
const body = (text: string): Uint8Array => Buffer.from(text, "latin1")

describe("a server", () => {
  it("says its settings first, then acknowledges", () => {
    const wire = Wire.server({ maxConcurrentStreams: 7, initialWindowSize: 1000 })
    assert.deepStrictEqual(F.show(wire.frames()), ["SETTINGS 0", `WINDOW_UPDATE 0 ${1_048_576 - 65_535}`])
    wire.send(F.PREFACE, F.settings())
    assert.deepStrictEqual(F.show(wire.frames()), ["SETTINGS 0 ACK"])
  })

  it("answers every request of a chunk in one write", () => {
    const wire = Wire.server({
      onStream: (stream) => {
        stream.respond(head, body("hello"), trailers)
        return { onData() {}, onTrailers() {}, onAbort() {} }
      }
    })
    wire.open()
    wire.duplex.writes = 0
    wire.send(F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END))
    assert.strictEqual(wire.duplex.writes, 1)
    const frames = wire.frames()
    const exchange = (id: number): Array<string> => [`HEADERS ${id}`, `DATA ${id} 5`, `HEADERS ${id} END`]
    assert.deepStrictEqual(F.show(frames), [...exchange(1), ...exchange(3)])
    assert.deepStrictEqual(wire.decode(frames[0]).fields, ["content-type", "application/grpc"])
    assert.strictEqual(Buffer.from(frames[1]!.payload).toString(), "hello")
    assert.deepStrictEqual(wire.decode(frames[2]).fields, ["grpc-status", "0"])
    assert.strictEqual(wire.connection.openStreams, 0)
  })

  it("takes a request apart: head, body, trailers", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.POST), F.data(1, "ab"), F.data(1, "cd"), F.headers(1, [["x-sum", "4"]], F.END))
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers POST /a", "data ab", "data cd", "trailers x-sum 4"])
    assert.strictEqual(wire.connection.openStreams, 1)
  })

  it("sends no DATA for an empty body and END_STREAM on the last frame without trailers", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END), F.headers(5, F.GET, F.END))
    wire.exchanges[0]?.stream?.respond(head, body(""), undefined)
    wire.exchanges[1]?.stream?.respond(head, body("x"), undefined)
    wire.exchanges[2]?.stream?.respond(head, body(""), trailers)
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1 END", "HEADERS 3", "DATA 3 1 END", "HEADERS 5", "HEADERS 5 END"])
  })

  it("streams a response, with informational heads", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    const stream = wire.exchanges[0]!.stream!
    stream.headers(HeaderBlock.make([[":status", "103"]]), false)
    stream.headers(head, false)
    stream.data(body("ab"), false)
    stream.data(body(""), true)
    stream.data(body("late"), false)
    const frames = wire.frames()
    assert.deepStrictEqual(F.show(frames), ["HEADERS 1", "HEADERS 1", "DATA 1 2", "DATA 1 0 END"])
    assert.strictEqual(wire.decode(frames[0]).status, 103)
    assert.isTrue(stream.closed)
  })

  it("asks an answered client to stop sending, after the answer", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.POST))
    wire.exchanges[0]?.stream?.respond(head, body("no"), trailers)
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1", "DATA 1 2", "HEADERS 1 END", "RST_STREAM 1 0"])
    wire.send(F.data(1, "still on its way", F.END))
    assert.deepStrictEqual(F.show(wire.frames()), [])
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers POST /a"])
    assert.isFalse(wire.connection.closed)
  })

  it("does not ask when the request ends in the same chunk", () => {
    const wire = Wire.server({
      onStream: (stream) => {
        stream.respond(head, body("ok"), undefined)
        return { onData() {}, onTrailers() {}, onAbort() {} }
      }
    })
    wire.open()
    wire.send(F.headers(1, F.POST), F.data(1, "x", F.END))
    assert.deepStrictEqual(F.show(wire.frames()), ["HEADERS 1", "DATA 1 2 END"])
  })

  it("reads any chunking alike", () => {
    const conversation = [
      F.PREFACE,
      F.settings([4, 70_000]),
      F.SETTINGS_ACK,
      F.headers(1, F.POST),
      F.data(1, "whole"),
      F.frame(0, 8 | F.END, 1, [3, 120, 121, 0, 0, 0]),
      F.headers(3, F.POST),
      F.frame(0, 8, 3, [2, 0, 0]),
      F.frame(0, 0, 3, []),
      F.frame(0x42, 0, 3, [1, 2, 3]),
      F.ping(),
      F.headers(3, [["x-t", "v"]], F.END),
      F.frame(1, F.END, 5, F.rawBlock(F.GET).subarray(0, 10)),
      F.frame(9, 4, 5, F.rawBlock(F.GET).subarray(10)),
      F.headers(7, F.POST),
      F.reset(7, 8)
    ]
    const all = Buffer.concat(conversation)
    const run = (sizes: ReadonlyArray<number>): ReadonlyArray<unknown> => {
      const wire = Wire.server()
      for (let at = 0, i = 0; at < all.length; at += sizes[i % sizes.length]!, i++)
        wire.send(all.subarray(at, at + sizes[i % sizes.length]!))
      const bodies = wire.exchanges.map(({ events }) =>
        events
          .join("|")
          .replaceAll(/(?<=data \w*)\|data (?=\w)/g, "")
          .replaceAll("|data  end", " end")
      )
      return [bodies, F.show(wire.frames()).toSorted()]
    }
    const whole = run([all.length])
    assert.deepStrictEqual(whole[0], [
      "headers POST /a|data wholexy end",
      "headers POST /a|trailers x-t v",
      "headers GET /a end",
      "headers POST /a|abort 8 true"
    ])
    for (const sizes of [[1], [2], [3, 5], [7, 1, 30], [10], [64]]) assert.deepStrictEqual(run(sizes), whole, `chunks of ${sizes}`)
  })

  it("takes bytes that somebody else has read", () => {
    const wire = Wire.server({ preface: F.PREFACE.subarray(0, 10) })
    wire.run()
    wire.send(F.PREFACE.subarray(10), F.settings(), F.headers(1, F.GET, F.END))
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers GET /a end"])
  })

  it("refuses streams above its limit and takes new ones when one is over", () => {
    const wire = Wire.server({ maxConcurrentStreams: 1 })
    wire.open()
    wire.send(F.headers(1, F.GET, F.END), F.headers(3, F.GET, F.END))
    assert.deepStrictEqual(F.show(wire.frames()), [`RST_STREAM 3 ${ErrorCode.REFUSED_STREAM}`])
    wire.exchanges[0]?.stream?.respond(head, body(""), undefined)
    wire.send(F.headers(5, F.GET, F.END))
    assert.strictEqual(wire.exchanges.length, 2)
  })

  it("tells the owner of a cancel once, and not after its answer", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.POST), F.headers(3, F.GET, F.END), F.reset(1, 8), F.reset(1, 8))
    assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers POST /a", "abort 8 true"])
    wire.exchanges[1]?.stream?.respond(head, body("x"), trailers)
    wire.send(F.reset(3, 8))
    assert.deepStrictEqual(wire.exchanges[1]?.events, ["headers GET /a end"])
    wire.exchanges[0]?.stream?.respond(head, body("x"), trailers)
    assert.notInclude(F.show(wire.frames()).join(), "HEADERS 1")
  })

  it("splits a large head into CONTINUATION frames", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    const value = "~".repeat(40_000)
    const fields: ReadonlyArray<readonly [string, string]> = [
      [":status", "200"],
      ["x-large", value]
    ]
    wire.exchanges[0]?.stream?.headers(HeaderBlock.make(fields, { reuse: false }), true)
    const frames = wire.frames()
    assert.deepStrictEqual(F.show(frames), ["HEADERS 1 END", "CONTINUATION 1", "CONTINUATION 1"])
    assert.deepStrictEqual(
      frames.map(({ flags }) => flags & 4),
      [0, 0, 4]
    )
    const block = Buffer.concat(frames.map(({ payload }) => payload))
    assert.strictEqual(wire.decoder.decode(block, 0, block.length).get("x-large"), value)
  })

  it("joins cookies and finds fields", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, [...F.GET, ["cookie", "a=1"], ["x", "1"], ["cookie", "b=2"], ["x", "2"], ["content-length", "0"]], F.END))
    const headers = wire.exchanges[0]!.headers[0]!
    assert.strictEqual(headers.get("cookie"), "a=1; b=2")
    assert.strictEqual(headers.get("x"), "1")
    assert.deepStrictEqual(headers.getAll("x"), ["1", "2"])
    assert.strictEqual(headers.get("nothing"), undefined)
    assert.strictEqual(headers.contentLength, 0)
    assert.strictEqual(headers.authority, "host")
  })

  it("goes away in two steps and ends with the last stream", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    wire.connection.shutdown()
    const first = wire.frames()
    assert.deepStrictEqual(F.show(first), [`GOAWAY 0 ${0x7fffffff} 0`, "PING 0"])
    wire.send(F.headers(3, F.GET, F.END))
    assert.strictEqual(wire.exchanges.length, 2)
    wire.send(F.frame(6, 1, 0, first[1]!.payload), F.headers(5, F.GET, F.END))
    assert.deepStrictEqual(F.show(wire.frames()), ["GOAWAY 0 3 0", `RST_STREAM 5 ${ErrorCode.REFUSED_STREAM}`])
    assert.isFalse(wire.duplex.ended)
    for (const { stream } of wire.exchanges) stream?.respond(head, body("x"), trailers)
    assert.deepStrictEqual(F.show(wire.frames()).length, 6)
    assert.isTrue(wire.duplex.ended)
    assert.isTrue(wire.connection.closed)
    wire.duplex.destroy()
    assert.deepStrictEqual(wire.closes, [undefined])
  })

  it("aborts everything when it is closed or lost", () => {
    for (const [end, code, said] of [
      [(w: ReturnType<typeof Wire.server>) => w.connection.close(ErrorCode.CANCEL, "bye"), 8, ["GOAWAY 0 1 8"]],
      [(w: ReturnType<typeof Wire.server>) => w.duplex.emit("end"), 10, []],
      [(w: ReturnType<typeof Wire.server>) => w.duplex.emit("error", new Error("reset")), 10, []],
      [(w: ReturnType<typeof Wire.server>) => w.connection.destroy(new Error("gone")), 10, []]
    ] as const) {
      const wire = Wire.server()
      wire.open()
      wire.send(F.headers(1, F.POST))
      let acknowledged: boolean | undefined
      wire.connection.ping((value) => (acknowledged = value))
      wire.frames()
      end(wire)
      assert.deepStrictEqual(wire.exchanges[0]?.events, ["headers POST /a", `abort ${code} true`])
      assert.deepStrictEqual(F.show(wire.frames()), [...said])
      assert.strictEqual(acknowledged, false)
      assert.isTrue(wire.connection.closed)
      wire.duplex.destroy()
      assert.strictEqual(wire.closes.length, 1)
      assert.instanceOf(wire.closes[0], Error)
    }
  })

  it("ends with INTERNAL_ERROR when a listener throws", () => {
    const wire = Wire.server({
      onStream: () => {
        throw new Error("mistake")
      }
    })
    wire.open()
    wire.send(F.headers(1, F.GET, F.END))
    assert.deepStrictEqual(F.show(wire.frames()), [`GOAWAY 0 1 ${ErrorCode.INTERNAL_ERROR}`])
    wire.duplex.destroy()
    assert.strictEqual(wire.closes[0]?.message, "mistake")
  })

  it("answers pings and measures its own", () => {
    const wire = Wire.server()
    wire.open()
    wire.send(F.ping("abcdefgh"))
    const [pong] = wire.frames()
    assert.deepStrictEqual(F.show([pong!]), ["PING 0 ACK"])
    assert.strictEqual(Buffer.from(pong!.payload).toString(), "abcdefgh")
    const answers: Array<boolean> = []
    assert.isTrue(wire.connection.ping((value) => answers.push(value)))
    const [ping] = wire.frames()
    wire.send(F.frame(6, 1, 0, ping!.payload), F.frame(6, 1, 0, ping!.payload))
    assert.deepStrictEqual(answers, [true])
  })
})
