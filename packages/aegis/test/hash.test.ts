import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { fnv1a, murmur3 } from "../src/internal/hash.ts"

const encoder = new TextEncoder()

const murmur = (text: string, seed: number) => {
  const bytes = encoder.encode(text)
  return murmur3(bytes, bytes.length, seed)
}

describe("fnv1a", () => {
  it("gives the published values", () => {
    assert.deepStrictEqual(
      ["", "a", "foobar"].map((text) => fnv1a(text) >>> 0),
      [0x811c9dc5, 0xe40c292c, 0xbf9cf968]
    )
  })

  it.effect.prop("hashes the bytes of UTF-8, in one piece or two", [Schema.String, Schema.String], ([a, b]) =>
    Effect.gen(function* () {
      let expected = 0x811c9dc5
      for (const byte of encoder.encode(a)) expected = Math.imul(expected ^ byte, 0x01000193)
      assert.strictEqual(fnv1a(a), expected)
      for (const byte of encoder.encode(b)) expected = Math.imul(expected ^ byte, 0x01000193)
      assert.strictEqual(fnv1a(b, fnv1a(a)), expected)
      yield* Effect.void
    })
  )

  it("takes halves of pairs for what encoders make of them", () => {
    for (const text of ["\ud83d", "a\ude00b", "\u{1f600}", "é€\u{1f600}x"]) {
      let expected = 0x811c9dc5
      for (const byte of encoder.encode(text)) expected = Math.imul(expected ^ byte, 0x01000193)
      assert.strictEqual(fnv1a(text), expected, JSON.stringify(text))
    }
  })
})

describe("murmur3", () => {
  it("gives the published values, for each length of the tail", () => {
    assert.strictEqual(murmur("", 0), 0)
    assert.strictEqual(murmur("", 1), 0x514e28b7)
    assert.strictEqual(murmur("hello", 0), 0x248bfa47)
    assert.strictEqual(murmur("hello, world", 0), 0x149bbb7f)
    assert.strictEqual(murmur("The quick brown fox jumps over the lazy dog", 0), 0x2e4ff723)
    assert.deepStrictEqual(
      ["aaaa", "aaa", "aa", "a"].map((text) => murmur(text, 0x9747b28c)),
      [0x5a97808a, 0x283e0130, 0x5d211726, 0x7fa09ea6]
    )
  })
})
