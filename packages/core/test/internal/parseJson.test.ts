import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { parseJson } from "../../src/internal/parseJson.ts"

describe("parseJson", () => {
  it("reads an escaped key that JSON.parse mistakes for one of an earlier object", () => {
    // what has to be there before, in this order
    for (const text of [String.raw`{"":"1","\\":"2"}`, String.raw`{"a":"1","\\":"2"}`, String.raw`{"a":"1","a\\":"2"}`]) parseJson(text)
    for (const key of ["\n", '"', "\\", "a\n", "\u0001"])
      for (const before of ["", "a"]) {
        const entries = [
          [before, "1"],
          [key, "2"],
          ["10", "3"],
          ["b", "4"]
        ] as const
        const text = `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`
        assert.deepStrictEqual(parseJson(text), Object.fromEntries(entries), text)
      }
    assert.deepStrictEqual(parseJson(String.raw`{"a":1,"\u0041":2}`), { a: 1, A: 2 })
  })

  it.prop("reads what JSON.stringify writes", [Schema.Json], ([value]) => {
    assert.strictEqual(JSON.stringify(parseJson(JSON.stringify(value))), JSON.stringify(value))
  })

  it("keeps keys in their order, the last value of a key, and a key `__proto__` as a key", () => {
    assert.deepStrictEqual(Object.entries(parseJson(String.raw`{"b":1,"a\n":2,"__proto__":3,"a\n":4}`) as object), [
      ["b", 1],
      ["a\n", 4],
      ["__proto__", 3]
    ])
  })

  it("takes colons and escapes in values for what they are", () => {
    const value = { "a\\": '\\":', b: [": \\", { "": '"\\"' }], "\ud800": ':"x":' }
    assert.deepStrictEqual(parseJson(JSON.stringify(value)), value)
  })

  it("throws as JSON.parse does", () => {
    for (const text of ["", '{"\\":1}', '{"a\\n":1', '"\\":', '{"\\x":1}', `"${'\\"'.repeat(100_000)}:`])
      assert.throws(() => parseJson(text), SyntaxError)
  })
})
