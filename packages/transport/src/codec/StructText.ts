/**
 * `google.protobuf.Struct`, `Value` and `ListValue` as the JSON that they stand for. Throws for what JSON does not have, a value without a kind and numbers
 * that are not finite, and for values that hold themselves.
 */
import type { JsonValue } from "@bufbuild/protobuf"
import type { ListValue, Struct, Value } from "@bufbuild/protobuf/wkt"
import * as FloatText from "./FloatText.ts"
import * as JsonString from "./JsonString.ts"

/** Deepest value that is written; how deep it may be is the sender's business, but it has an end. */
const maxDepth = 10_000

/** A struct in a field, which messages hold as its JSON. */
export const ofJson = (value: JsonValue, depth = 0): string => {
  if (value === null) return "null"
  switch (typeof value) {
    case "string":
      return JsonString.quote(value)
    case "number":
      return number(value)
    case "boolean":
      return value ? "true" : "false"
    case "object": {
      if (depth > maxDepth) throw new RangeError("a value nested too deep")
      if (Array.isArray(value)) return `[${value.map((item) => ofJson(item, depth + 1)).join(",")}]`
      return object(value, (item) => ofJson(item, depth + 1))
    }
  }
  throw new TypeError("expected a value of JSON")
}

export const ofStruct = ({ fields }: Struct, depth = 0): string => object(fields, (item) => ofValue(item, depth + 1))

export const ofList = ({ values }: ListValue, depth = 0): string => `[${values.map((item) => ofValue(item, depth + 1)).join(",")}]`

export const ofValue = ({ kind }: Value, depth = 0): string => {
  if (depth > maxDepth) throw new RangeError("a value nested too deep")
  switch (kind.case) {
    case "nullValue":
      return "null"
    case "boolValue":
      return kind.value ? "true" : "false"
    case "numberValue":
      return number(kind.value)
    case "stringValue":
      return JsonString.quote(kind.value)
    case "structValue":
      return ofStruct(kind.value, depth)
    case "listValue":
      return ofList(kind.value, depth)
    case undefined:
      throw new TypeError("a google.protobuf.Value without a kind")
  }
}

const number = (value: number): string => {
  if (!Number.isFinite(value)) throw new RangeError("JSON has no such number")
  return FloatText.json(value, false)
}

const object = <A>(members: Readonly<Record<string, A>>, write: (value: A) => string): string =>
  `{${Object.entries(members)
    .map(([key, value]) => `${JsonString.quote(key)}:${write(value)}`)
    .join(",")}}`
