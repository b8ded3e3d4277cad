/**
 * The keywords of a field's schema against Protovalidate itself, value by value: what is valid is never refused, and what is not valid is, but for
 * the rules that are said in words only.
 */
import { fromJson, toJson, type DescField, type JsonValue } from "@bufbuild/protobuf"
import { createValidator } from "@bufbuild/protovalidate"
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import * as Schemas from "../../src/openapi/Schemas.ts"
import { RulesSchema } from "../gen/test/docs/v1/rules_pb.ts"

const strings = ["", "a", "ab", "abc", "abcd", "a.c", "a b", "aaa", "ää", "ünï", "A", "b", "a@b.example", "10.0.0.1", "::1"]
const formats = ["https://x.example/y", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "host.example", "-"]
const numbers = [-1, 0, 1, 2, 3, 4]
const lists = [[], ["a"], ["ab", "cd"], ["ab", "ab"], ["ab", "cd", "ef"], [""]]
const maps = [{}, { a: "b" }, { ab: "bc" }, { abc: "bcd" }]
const bytes = ["", "YQ==", "YWI=", "YWJj", "YWJjZA=="]
const inner = [{}, { text: "" }, { number: 1 }]

const candidates = (field: DescField): ReadonlyArray<JsonValue> => {
  if (field.name.startsWith("s_")) return [...strings, ...formats]
  if (field.name.startsWith("r_")) return lists
  if (field.name.startsWith("m_")) return maps
  if (field.name.startsWith("y_")) return bytes
  if (field.name.startsWith("e_")) return ["GENRE_UNSPECIFIED", "GENRE_FACT", "GENRE_FICTION"]
  if (field.name.startsWith("b_")) return [true, false]
  if (field.name.startsWith("message")) return inner
  if (field.name.startsWith("d_")) return [...numbers, 1.5, "NaN", "Infinity", "-Infinity"]
  const isUnsigned = field.name === "i_not_in" || field.name === "l_in"
  return isUnsigned ? numbers.filter((number) => number >= 0) : numbers
}

/**
 * No keyword says all of these: bytes of text, RE2's own syntax, CEL, bounds of 64-bit integers, the length of bytes within three, and that the
 * last label of a host name is no number.
 */
const inWords = new Set(["s_bytes", "s_re2", "s_cel", "l_range", "y_len", "y_min", "s_hostname"])

const validator = createValidator()
const isValid = (field: DescField, json: JsonValue | undefined): boolean => {
  const message = fromJson(RulesSchema, json === undefined ? {} : { [field.jsonName]: json })
  const result = validator.validate(RulesSchema, message)
  if (result.kind === "error") throw result.error
  return result.kind === "valid" || !result.violations.some((violation) => violation.field[0] === field)
}

const schemas = Schemas.make({ prefix: "#/$defs/", comments: {} })
const described = new Map(RulesSchema.fields.map((field) => [field, schemas.field(field)]))
const accepts = (field: DescField) => {
  const ajv = addFormats.default(new Ajv2020({ strict: false }))
  const { isRequired, schema } = described.get(field)!
  const validate = ajv.compile({ ...schema, $defs: Object.fromEntries(schemas.definitions) })
  return (json: JsonValue | undefined): boolean => (json === undefined ? !isRequired : validate(json))
}

/** How our wire writes a value. */
const written = (field: DescField, json: JsonValue): JsonValue | undefined => {
  const message = fromJson(RulesSchema, { [field.jsonName]: json })
  return (toJson(RulesSchema, message, { alwaysEmitImplicit: true }) as Record<string, JsonValue>)[field.jsonName]
}

describe.each(RulesSchema.fields.map((field) => [field.name, field] as const))("%s", (name, field) => {
  const schema = accepts(field)
  const values = candidates(field).map((value) => written(field, value))

  it("never refuses what is valid", () => {
    for (const value of [...values, undefined]) if (isValid(field, value)) assert.isTrue(schema(value), JSON.stringify(value))
  })

  if (!inWords.has(name)) {
    it("refuses what is not", () => {
      for (const value of [...values, undefined]) if (!isValid(field, value)) assert.isFalse(schema(value), JSON.stringify(value))
    })
  }

  it("has values of both kinds to show it", () => {
    const kinds = new Set([...values, undefined].map((value) => isValid(field, value)))
    assert.deepStrictEqual([...kinds].sort(), name === "s_never" ? [true] : [false, true])
  })
})

it("says in words what has no keyword", () => {
  const textOf = (name: string) => described.get(RulesSchema.fields.find((field) => field.name === name)!)!.schema["description"]
  assert.strictEqual(textOf("l_range"), "Must be at least 2.")
  assert.strictEqual(textOf("s_re2"), "Must match the regular expression `(?i)^A$` (RE2).")
  assert.strictEqual(textOf("s_cel"), "Must hold: no spaces")
})
