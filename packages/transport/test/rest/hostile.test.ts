import { toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Binding from "../../src/rest/Binding.ts"
import * as Router from "../../src/rest/Router.ts"
import { Rest } from "../gen/test/v1/rest_pb.ts"
import { random, type Random } from "../codec/randomMessage.ts"

const bindings = Rest.methods.flatMap((method) => Result.getOrThrow(Binding.fromMethod(method)))
const router = Router.make(bindings.map((binding) => ({ method: binding.httpMethod, template: binding.template, value: binding })))

const names = [
  "nested",
  "nesteds",
  "labels",
  "by_long",
  "byFlag",
  "struct",
  "value",
  "list",
  "values",
  "timestamp",
  "mask",
  "any",
  "choice_nested",
  "choice_text"
]
const marks = [
  ".",
  "[",
  "]",
  "[0]",
  "[999999999]",
  "[]",
  "..",
  ".name",
  ".value",
  ".fields",
  ".values",
  ".child",
  "__proto__",
  "constructor",
  "%",
  "%5B",
  "%00",
  "%ff",
  ""
]
const values = [
  "",
  "1",
  "-1",
  "x",
  "null",
  "true",
  "{}",
  "[]",
  '{"a":1}',
  "1e999",
  "%zz",
  "%",
  "+",
  "9".repeat(400),
  "2024-01-01T00:00:00Z",
  "1s",
  "aGk="
]
const json = [
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  '"nested"',
  '"labels"',
  '"struct"',
  '"value"',
  '"any"',
  '"@type"',
  '"__proto__"',
  '"choiceText"',
  "null",
  "1",
  "1e999",
  '"\\ud800"',
  '"',
  "\\",
  " "
]

const many = (random: Random, pieces: ReadonlyArray<string>, most: number, between = "") =>
  Array.from({ length: random.below(most) }, () => random.pick(pieces)).join(between)

/** Bound or refused with a 4xx that names its reason, and whatever was bound can be written again. */
const survives = (binding: Binding.Binding, input: Binding.Input): boolean => {
  const bound = binding.bind(input)
  if (Result.isFailure(bound)) {
    assert.include([400, 415], bound.failure.code, bound.failure.message)
    assert.strictEqual(bound.failure.reason, "CODEC")
    assert.isBelow(bound.failure.message.length, 250)
    return false
  }
  toBinary(binding.method.input, bound.success)
  return true
}

const binding = (name: string) => bindings.find(({ method }) => method.localName === name)!

describe("hostile input", () => {
  it("is bound or refused: queries", () => {
    let bound = 0
    for (let seed = 0; seed < 3_000; seed++) {
      const generator = random(seed)
      const pairs = Array.from(
        { length: 1 + generator.below(5) },
        () => `${generator.pick(names)}${many(generator, marks, 4)}=${generator.pick(values)}`
      )
      if (survives(binding("getWide"), { variables: ["s"], query: pairs.join("&"), contentType: undefined, body: undefined })) bound++
    }
    assert.isAbove(bound, 100)
  })

  it("is bound or refused: bodies", () => {
    const types = ["application/json", "application/proto", "application/x-www-form-urlencoded", "text/html", undefined]
    for (let seed = 0; seed < 3_000; seed++) {
      const generator = random(seed)
      const text = generator.below(2) === 0 ? many(generator, json, 20) : `{${many(generator, json, 10)}}`
      const bytes = Uint8Array.from({ length: generator.below(30) }, () => generator.below(256))
      const body = generator.below(3) === 0 ? bytes : new TextEncoder().encode(text)
      for (const name of ["createWide", "replaceWide", "putTags", "upload"]) {
        survives(binding(name), { variables: name === "createWide" ? [] : ["v"], query: "", contentType: generator.pick(types), body })
      }
    }
  })

  it("is matched or not: paths", () => {
    const pieces = [
      "/",
      "v1",
      "wide",
      "shelves",
      "files",
      ":cancel",
      ":watch",
      "tasks",
      "books",
      "%2F",
      "%2f",
      "%",
      "%ff",
      "a",
      "*",
      "**",
      "{name}",
      ":",
      "ü",
      "\u0000",
      "?"
    ]
    for (let seed = 0; seed < 3_000; seed++) {
      const generator = random(seed)
      const path = many(generator, pieces, 12)
      const match = router.match(generator.pick(["GET", "POST", "PUT", "__proto__", ""]), path)
      assert.include(["Found", "NotFound", "MethodNotAllowed", "BadPath"], match._tag)
      if (match._tag !== "Found") continue
      const { value } = match.route
      assert.lengthOf(match.variables, value.template.variables.length)
      survives(value, { variables: match.variables, query: "", contentType: undefined, body: undefined })
    }
  })

  it("costs no more than its length", () => {
    // any of these takes minutes where matching is quadratic
    const digits = "1".repeat(400_000)
    for (const field of [
      "double_value",
      "int64_value",
      "bytes_value",
      "bool_value",
      "color",
      "timestamp",
      "duration",
      "doubles",
      "labels[a].x",
      "nested"
    ]) {
      for (const value of [`${digits}x`, `${digits}.${digits}x`, `${"=".repeat(400_000)}x`, `${" ".repeat(400_000)}x`]) {
        survives(binding("createWide"), {
          variables: [],
          query: "",
          contentType: "application/x-www-form-urlencoded",
          body: new TextEncoder().encode(`${field}=${value}`)
        })
      }
    }
    const key = new TextEncoder().encode(`${"nested.".repeat(100_000)}${"[".repeat(100_000)}${"labels[a]".repeat(100_000)}=1`)
    survives(binding("createWide"), { variables: [], query: "", contentType: "application/x-www-form-urlencoded", body: key })
    assert.strictEqual(router.match("GET", `/v1/files/${"a/:".repeat(200_000)}`)._tag, "Found")
  })

  it("leaves the prototypes alone", () => {
    for (const key of [
      "labels[__proto__]",
      "labels.__proto__",
      "struct.__proto__",
      "values[__proto__].struct_value.fields[__proto__].string_value",
      "__proto__.x",
      "by_long[1].__proto__"
    ]) {
      binding("getWide").bind({ variables: ["s"], query: `${key}=polluted`, contentType: undefined, body: undefined })
    }
    const body = new TextEncoder().encode(
      '{"__proto__":{"x":1},"labels":{"__proto__":"x"},"struct":{"__proto__":{"x":1}},"values":{"__proto__":{"x":1}}}'
    )
    const bound = binding("createWide").bind({ variables: [], query: "", contentType: undefined, body })
    assert.isTrue(Result.isSuccess(bound))
    assert.deepStrictEqual(
      Object.getOwnPropertyNames(Object.prototype).filter((name) => name === "x"),
      []
    )
    assert.isUndefined(({} as { x?: unknown }).x)
  })
})
