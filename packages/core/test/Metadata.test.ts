import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Metadata from "../src/Metadata.ts"

describe("Metadata", () => {
  it("ignores the case of keys", () => {
    const self = Metadata.make()
    Metadata.set(self, "X-Md-A", "1")
    assert.deepStrictEqual([...self], [["x-md-a", ["1"]]])
    assert.deepStrictEqual(Metadata.get(self, "X-MD-a"), Option.some("1"))
    assert.deepStrictEqual(Metadata.getAll("x-mD-A")(self), ["1"])
    assert.deepStrictEqual([...Metadata.fromRecord({ A: "1", a: ["2", "3"] })], [["a", ["1", "2", "3"]]])
  })

  it("replaces with set, appends with add, and ignores what Kratos ignores", () => {
    const self = Metadata.fromRecord({ a: ["1", "2"] })
    Metadata.set(self, "a", "3")
    Metadata.add(self, "a", "4")
    Metadata.add(self, "b", "5")
    Metadata.set(self, "a", "")
    Metadata.set(self, "", "x")
    Metadata.add(self, "", "x")
    assert.deepStrictEqual(
      [...self],
      [
        ["a", ["3", "4"]],
        ["b", ["5"]]
      ]
    )
    assert.isTrue(Option.isNone(Metadata.get(self, "c")))
    assert.deepStrictEqual(Metadata.getAll(self, "c"), [])
  })

  it("shares nothing with its clone", () => {
    const self = Metadata.fromRecord({ a: ["1"] })
    const copy = Metadata.clone(self)
    Metadata.add(copy, "a", "2")
    Metadata.add(copy, "b", "3")
    assert.deepStrictEqual([...self], [["a", ["1"]]])
    assert.deepStrictEqual(
      [...copy],
      [
        ["a", ["1", "2"]],
        ["b", ["3"]]
      ]
    )
  })

  it.prop(
    "takes bytes through unchanged, unpadded on the wire, padded and URL-safe accepted",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))],
    ([numbers]) => {
      const bytes = Uint8Array.from(numbers)
      const self = Metadata.make()
      Metadata.setBinary(self, "Trace-Bin", bytes)
      const text = Metadata.getAll(self, "trace-bin")[0]!
      assert.notInclude(text, "=")
      const read = (text: string) => Metadata.getBinary(Metadata.fromRecord({ "trace-bin": text }), "trace-bin")
      const padded = text + "=".repeat((4 - (text.length % 4)) % 4)
      for (const form of [text, padded, text.replaceAll("+", "-").replaceAll("/", "_"), `${padded},AAAA`]) {
        assert.deepStrictEqual(read(form), Option.some(bytes))
      }
    }
  )

  it("finds no bytes in what is not base64", () => {
    const read = (text: string) => Metadata.getBinary(Metadata.fromRecord({ "a-bin": text }), "a-bin")
    for (const text of ["A", "AA=A", "A!AA", "é"]) assert.isTrue(Option.isNone(read(text)), text)
    assert.isTrue(Option.isNone(Metadata.getBinary(Metadata.empty, "a-bin")))
    // a pattern for trailing padding would take minutes
    assert.isTrue(Option.isNone(read("=".repeat(1_000_000) + "!")))
  })
})
