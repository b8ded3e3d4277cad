/**
 * Scalars, enums and well-known types as plain text: what a path variable, a query parameter or a form field holds. Reading follows Go's
 * strconv where Kratos does (`1`/`t`/`TRUE`, no hexadecimal, range checks by width) and takes both base64 alphabets, padded or not.
 */
import { create, ScalarType, type DescEnum, type DescField, type DescMessage } from "@bufbuild/protobuf"
import { FieldMaskSchema, isWrapperDesc } from "@bufbuild/protobuf/wkt"
import { Buffer } from "node:buffer"
import { BadText } from "./BadText.ts"
import * as FloatText from "./FloatText.ts"
import * as TimeText from "./TimeText.ts"

/** Reads a value in the representation that protobuf-es holds; throws `BadText`. */
export type Parse = (text: string) => unknown
export type Format = (value: unknown) => string

/** The parser of one value of a field, be it singular, an item of a list or a value of a map; undefined for messages without a text form. */
export const parser = (field: DescField): Parse | undefined => {
  if (field.message !== undefined) return messageParser(field.message, field)
  if (field.enum !== undefined) return enumParser(field.enum)
  const parse = scalarParser(field.scalar!)
  // `jstype = JS_STRING` holds 64-bit integers as text
  return "longAsString" in field && field.longAsString ? (text) => String(parse(text)) : parse
}

/** The parser of a map's keys, in the form in which they are property names. */
export const keyParser = (type: ScalarType): ((text: string) => string) => {
  if (type === ScalarType.STRING) return (text) => text
  const parse = scalarParser(type)
  return (text) => String(parse(text))
}

/** The formatter of one value of a field; undefined for messages without a text form. */
export const formatter = (field: DescField): Format | undefined => {
  if (field.message !== undefined) return messageFormatter(field.message, field)
  if (field.enum !== undefined) return enumFormatter(field.enum)
  return scalarFormatter(field.scalar!, "base64url")
}

/** Whether a singular field is held as the value inside of its wrapper message. */
export const isUnwrapped = (field: DescField): boolean =>
  field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(field.message)

const messageParser = (schema: DescMessage, field: DescField): Parse | undefined => {
  if (isWrapperDesc(schema)) {
    const parse = scalarParser(schema.fields[0]!.scalar!)
    return isUnwrapped(field) ? parse : (text) => Object.assign(create(schema), { value: parse(text) })
  }
  return wellKnownParser(schema)
}

/** The parser of a message that has a text form, wrappers aside. */
export const wellKnownParser = (schema: DescMessage): Parse | undefined => {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      // Go cuts here what it refuses in JSON
      return (text) => TimeText.parseTimestamp(text.replace(/([.,]\d{9})\d{1,100}/, "$1"))
    case "google.protobuf.Duration":
      return TimeText.parseDuration
    case "google.protobuf.FieldMask":
      return (text) => create(FieldMaskSchema, { paths: text === "" ? [] : text.split(",").map(snakeCase) })
    case "google.protobuf.Value":
      return (text) => Object.assign(create(schema), { kind: { case: "stringValue", value: text } })
    default:
      return undefined
  }
}

const messageFormatter = (schema: DescMessage, field: DescField): Format | undefined => {
  if (isWrapperDesc(schema)) {
    const format = scalarFormatter(schema.fields[0]!.scalar!, "base64")
    return isUnwrapped(field) ? format : (message) => format((message as { readonly value: unknown }).value)
  }
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return TimeText.formatTimestamp
    case "google.protobuf.Duration":
      return TimeText.formatDuration
    case "google.protobuf.FieldMask":
      return (message) => (message as { readonly paths: ReadonlyArray<string> }).paths.map(camelCase).join(",")
    default:
      return undefined
  }
}

const snakeCase = (path: string): string => path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Only what `snakeCase` leads back from: `a_1` stays as it is. */
const camelCase = (path: string): string => path.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const enumParser = (desc: DescEnum): Parse => {
  const isNull = desc.typeName === "google.protobuf.NullValue"
  const byName = new Map<string, number>()
  for (const value of desc.values) byName.set(value.name, value.number).set(value.jsonName, value.number)
  const numbers = new Set(desc.values.map((value) => value.number))
  return (text) => {
    if (isNull && text === "null") return 0
    const named = byName.get(text)
    if (named !== undefined) return named
    const number = integer.test(text) ? Number(text) : Number.NaN
    if (!numbers.has(number)) throw BadText.expected(`a value of ${desc.typeName}`)
    return number
  }
}

const enumFormatter = (desc: DescEnum): Format => {
  if (desc.typeName === "google.protobuf.NullValue") return () => "null"
  const names = new Map(desc.values.map((value) => [value.number, value.name]))
  return (value) => names.get(value as number) ?? String(value)
}

const integer = /^[+-]?\d{1,20}$/
const unsigned = /^\d{1,20}$/

const int32: Parse = (text) => {
  const number = integer.test(text) ? Number(text) : Number.NaN
  // `| 0` drops what does not fit, and the sign of -0
  if ((number | 0) !== number) throw BadText.expected("int32")
  return number | 0
}
const uint32: Parse = (text) => {
  const number = unsigned.test(text) ? Number(text) : Number.NaN
  if (number >>> 0 !== number) throw BadText.expected("uint32")
  return number
}
const int64: Parse = (text) => {
  const number = integer.test(text) ? BigInt(text[0] === "+" ? text.slice(1) : text) : undefined
  if (number === undefined || BigInt.asIntN(64, number) !== number) throw BadText.expected("int64")
  return number
}
const uint64: Parse = (text) => {
  const number = unsigned.test(text) ? BigInt(text) : undefined
  if (number === undefined || BigInt.asUintN(64, number) !== number) throw BadText.expected("uint64")
  return number
}

// each digit has one place in it: backtracking stays linear
const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const infinite = /^([+-]?)inf(?:inity)?$/i

const float64: Parse = (text) => {
  if (decimal.test(text)) {
    const number = Number(text)
    if (Number.isFinite(number)) return number
  } else if (/^nan$/i.test(text)) return Number.NaN
  else {
    const sign = infinite.exec(text)
    if (sign !== null) return sign[1] === "-" ? -Infinity : Infinity
  }
  throw BadText.expected("double")
}
const float32: Parse = (text) => {
  const number = float64(text) as number
  const rounded = Math.fround(number)
  if (Number.isFinite(number) && !Number.isFinite(rounded)) throw BadText.expected("float")
  return rounded
}

const boolean: Parse = (text) => {
  switch (text) {
    case "1":
    case "t":
    case "T":
    case "true":
    case "TRUE":
    case "True":
      return true
    case "0":
    case "f":
    case "F":
    case "false":
    case "FALSE":
    case "False":
      return false
    default:
      throw BadText.expected("bool")
  }
}

const bytes: Parse = (text) => {
  const body = /^([A-Za-z0-9+/\-_]*)(={0,2})$/.exec(text)
  const length = body?.[1]!.length
  // four digits make three bytes; padding, if any, fills the last four
  if (body === null || length! % 4 === 1 || (body[2] !== "" && text.length % 4 !== 0)) throw BadText.expected("base64")
  return new Uint8Array(Buffer.from(body[1]!, "base64"))
}

/** The parser of a scalar. */
export const scalarParser = (type: ScalarType): Parse => {
  switch (type) {
    case ScalarType.STRING:
      return (text) => text
    case ScalarType.BOOL:
      return boolean
    case ScalarType.BYTES:
      return bytes
    case ScalarType.DOUBLE:
      return float64
    case ScalarType.FLOAT:
      return float32
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return int32
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return uint32
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return int64
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return uint64
  }
}

const scalarFormatter = (type: ScalarType, alphabet: "base64" | "base64url"): Format => {
  switch (type) {
    case ScalarType.BYTES:
      return (value) => {
        const text = Buffer.from(value as Uint8Array).toString(alphabet)
        return text + "=".repeat((4 - (text.length % 4)) % 4)
      }
    case ScalarType.DOUBLE:
      return (value) => FloatText.go(value as number, false)
    case ScalarType.FLOAT:
      return (value) => FloatText.go(value as number, true)
    default:
      return String
  }
}
