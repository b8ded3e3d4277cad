import { assert, describe, it } from "@effect/vitest"
import * as Frames from "../src/internal/Frames.ts"
import { JuteError, Reader, Writer } from "../src/internal/Jute.ts"

describe("frames", () => {
  const sent = [new Writer().int(1).frame(), new Writer().text("ü".repeat(5000)).frame(), new Writer().bool(true).long(-5n).frame()]
  const bytes = Buffer.concat(sent)

  it("come whole, in whatever parts their octets come", () => {
    for (const size of [1, 2, 3, 5, 7, 4096, bytes.length]) {
      const got: Array<Buffer> = []
      const frames = Frames.make(20_000, (frame) => void got.push(Buffer.from(frame)))
      for (let at = 0; at < bytes.length; at += size) frames.push(bytes.subarray(at, at + size))
      assert.deepStrictEqual(
        got.map((frame) => frame.toString("hex")),
        sent.map((frame) => frame.subarray(4).toString("hex"))
      )
    }
  })
  it("beyond the limit are refused before their octets are there", () => {
    const frames = Frames.make(9999, () => undefined)
    frames.push(sent[0]!)
    assert.throws(() => frames.push(sent[1]!.subarray(0, 4)), JuteError, "a frame of 10004 octets, 9999 at most")
  })
})

describe("jute", () => {
  it("reads what it has written", () => {
    const frame = new Writer()
      .int(-7)
      .long(-(2n ** 63n))
      .bool(true)
      .text("größe")
      .octets(Uint8Array.of(1, 2))
      .int(2)
      .text("a")
      .text("")
      .int(-1)
      .frame()
    const from = new Reader(frame.subarray(4))
    assert.strictEqual(frame.readInt32BE(0), frame.length - 4)
    assert.deepStrictEqual(
      [from.int(), from.long(), from.bool(), from.text(), [...from.octets()], from.texts(), from.texts(), from.remaining],
      [-7, -(2n ** 63n), true, "größe", [1, 2], ["a", ""], [], 0]
    )
  })
  it("reads nothing beyond its octets", () => {
    for (const read of [
      (from: Reader) => from.int(),
      (from: Reader) => from.long(),
      (from: Reader) => from.text(),
      (from: Reader) => from.texts()
    ])
      assert.throws(() => read(new Reader(Buffer.from([0, 0, 1]))), JuteError)
    assert.throws(() => new Reader(Buffer.from([])).bool(), JuteError)
  })
})
