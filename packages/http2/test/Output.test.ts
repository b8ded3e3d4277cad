import { assert, describe, it } from "@effect/vitest"
import type { Duplex } from "node:stream"
import { Output } from "../src/internal/Output.ts"

/** Keeps what it is given by reference, as an in-memory pair does. */
const keeper = (writableLength: number) => {
  const kept: Array<Uint8Array> = []
  const duplex = { writableLength, cork() {}, uncork() {}, write: (chunk: Uint8Array) => kept.push(chunk) > 0 }
  // As much of a duplex as an output touches.
  return { duplex: duplex as unknown as Duplex, kept }
}

const round = (output: Output, duplex: Duplex, value: number): void => {
  output.frame(100, 0, 0, 1)
  output.copy(new Uint8Array(100).fill(value), 0, 100)
  output.flush(duplex)
}

describe("Output", () => {
  for (const [what, recycle, writableLength, reused] of [
    ["never by default", false, 0, false],
    ["not while the duplex still holds them", true, 1, false],
    ["as soon as the duplex is done with them, if it says so", true, 0, true]
  ] as const) {
    it(`writes over written bytes ${what}`, () => {
      const output = new Output(recycle)
      const { duplex, kept } = keeper(writableLength)
      for (let i = 1; i <= 5; i++) round(output, duplex, i)
      assert.strictEqual(kept.length, 5)
      assert.deepStrictEqual(
        kept.map((chunk) => chunk[50]),
        reused ? [5, 5, 5, 5, 5] : [1, 2, 3, 4, 5]
      )
    })
  }

  it("writes again over what a full duplex held, once that has drained", () => {
    const output = new Output(true)
    const { duplex, kept } = keeper(1)
    round(output, duplex, 1)
    round(output, duplex, 2)
    output.drained()
    round(output, duplex, 3)
    const buffers = kept.map((chunk) => chunk.buffer)
    assert.notStrictEqual(buffers[0], buffers[1])
    assert.include([buffers[0], buffers[1]], buffers[2])
    assert.deepStrictEqual([...kept[2]!.subarray(50, 52)], [3, 3])
  })

  it("keeps what two connections write apart", () => {
    const [one, two] = [new Output(true), new Output(false)]
    const [a, b] = [keeper(0), keeper(0)]
    for (let i = 1; i <= 1000; i++) {
      one.frame(100, 0, 0, 1)
      one.copy(new Uint8Array(100).fill(200), 0, 100)
      round(two, b.duplex, i % 100)
      one.flush(a.duplex)
    }
    for (const [i, chunk] of b.kept.entries()) assert.strictEqual(chunk[50], (i + 1) % 100)
  })

  it("refers to long pieces and keeps the order", () => {
    const output = new Output(false)
    const { duplex, kept } = keeper(0)
    const long = new Uint8Array(10_000).fill(7)
    output.frame(10_000, 0, 0, 1)
    output.bytes(long, 0, 10_000)
    output.frame(3, 0, 1, 1)
    output.bytes(Uint8Array.of(1, 2, 3), 0, 3)
    assert.strictEqual(output.size, 9 + 10_000 + 9 + 3)
    output.flush(duplex)
    assert.deepStrictEqual(
      kept.map(({ length }) => length),
      [9, 10_000, 12]
    )
    assert.strictEqual(kept[1], long)
    assert.deepStrictEqual([...kept[2]!.subarray(9)], [1, 2, 3])
  })
})
