import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const { decode, encode, equals, make } = ServiceInstance

describe("ServiceInstance", () => {
  it("writes the keys in the order of Kratos, and null for no metadata", () => {
    assert.strictEqual(
      encode(make({ id: "1", name: "hello", endpoints: ["http://127.0.0.1:8000", "grpc://127.0.0.1:9000"] })),
      `{"id":"1","name":"hello","version":"","metadata":null,"endpoints":["http://127.0.0.1:8000","grpc://127.0.0.1:9000"]}`
    )
  })

  it("writes an empty list of endpoints as a list", () => {
    assert.strictEqual(encode(make({ id: "1", name: "a" })), `{"id":"1","name":"a","version":"","metadata":null,"endpoints":[]}`)
  })

  it("escapes as Go does and sorts metadata", () => {
    const metadata = { b: '<a href="&">', "10": "\u2028", "9": "\u2029" }
    assert.strictEqual(
      encode(make({ id: "1", name: "ä", version: "\n", metadata })),
      String.raw`{"id":"1","name":"ä","version":"\n","metadata":{"10":"\u2028","9":"\u2029","b":"\u003ca href=\"\u0026\"\u003e"},"endpoints":[]}`
    )
  })

  it.effect.prop("reads what it writes", [ServiceInstance.ServiceInstance], ([instance]) =>
    Effect.gen(function* () {
      const decoded = yield* decode(encode(instance))
      assert.isTrue(equals(decoded, instance), encode(instance))
      assert.deepStrictEqual(decoded.endpoints, instance.endpoints)
    })
  )

  it.effect("reads keys in any case, nulls, and over unknown keys", () =>
    Effect.gen(function* () {
      const expected = make({ id: "1", name: "a", version: "v", metadata: { k: "" }, endpoints: ["x", ""] })
      const texts = [
        `{"id":"1","name":"a","version":"v","metadata":{"k":""},"endpoints":["x",""]}`,
        `{"ID":"1","Name":"a","VERSION":"v","MetaData":{"k":null},"endPoints":["x",null],"weight":3,"nested":{"id":"2"}}`,
        `{"Id":"0","id":"1","name":"a","NAME":null,"version":"v","metadata":{"k":""},"endpoints":["x",""]}`
      ]
      for (const text of texts) assert.deepStrictEqual(yield* decode(text), expected, text)
      for (const text of ["{}", `{"id":null,"name":null,"version":null,"metadata":null,"endpoints":null}`]) {
        assert.deepStrictEqual(yield* decode(text), make({ id: "", name: "" }), text)
      }
    })
  )

  it.effect("fails on what is not an instance", () =>
    Effect.gen(function* () {
      const list = (length: number, item: (i: number) => string) => Array.from({ length }, (_, i) => item(i)).join()
      const texts = [
        "",
        "null",
        "[]",
        `"text"`,
        `{"id":"1"`,
        `{"id":1}`,
        `{"name":{}}`,
        `{"metadata":[]}`,
        `{"metadata":{"k":1}}`,
        `{"metadata":"k"}`,
        `{"endpoints":{}}`,
        `{"endpoints":[1]}`,
        `{"endpoints":[${list(ServiceInstance.maxEntries + 1, () => `""`)}]}`,
        `{"metadata":{${list(ServiceInstance.maxEntries + 1, (i) => `"${i}":""`)}}}`,
        `{"id":"${"x".repeat(ServiceInstance.maxTextLength)}"}`
      ]
      for (const text of texts) {
        const error = yield* Effect.flip(decode(text))
        assert.strictEqual(error._tag, "SchemaError")
        assert.isBelow(error.message.length, 10_000)
      }
    })
  )

  it.effect("is not tricked by the names of object properties", () =>
    Effect.gen(function* () {
      const instance = yield* decode(
        `{"id":"1","name":"a","__proto__":{"version":"x"},"constructor":"x","metadata":{"__proto__":"x","toString":"y"}}`
      )
      assert.strictEqual(instance.version, "")
      assert.strictEqual(Object.getPrototypeOf(instance.metadata), Object.prototype)
      assert.deepStrictEqual(Object.entries(instance.metadata).toSorted(), [
        ["__proto__", "x"],
        ["toString", "y"]
      ])
      assert.isTrue(equals(instance, yield* decode(encode(instance))))
      assert.isFalse(equals(make({ id: "1", name: "a", metadata: { x: "1" } }), make({ id: "1", name: "a", metadata: { toString: "1" } })))
    })
  )

  it("is equal whatever the order of endpoints and of metadata", () => {
    const a = make({ id: "1", name: "a", version: "v", metadata: { x: "1", y: "2" }, endpoints: ["1", "2"] })
    assert.isTrue(equals(a, { ...a, metadata: { y: "2", x: "1" }, endpoints: ["2", "1"] }))
    const others = [
      { id: "2" },
      { name: "b" },
      { version: "w" },
      { metadata: { x: "1" } },
      { metadata: { x: "1", y: "3" } },
      { endpoints: ["1", "1"] }
    ]
    for (const other of others) assert.isFalse(equals(a, { ...a, ...other }), JSON.stringify(other))
  })

  it("has a codec of its text for other schemas", () => {
    const instance = make({ id: "1", name: "a" })
    assert.deepStrictEqual(Schema.decodeUnknownSync(ServiceInstance.Json)(encode(instance)), instance)
    assert.strictEqual(Schema.encodeSync(ServiceInstance.Json)(instance), encode(instance))
  })

  it("names its place on a hash ring as Kratos does", () => {
    assert.strictEqual(ServiceInstance.member(make({ id: "1", name: "a" })), "a-1")
  })
})
