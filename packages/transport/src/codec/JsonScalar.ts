/** Scalars of protobuf-JSON, as strict as Go's protojson: numbers may stand in quotes, and integers may have a fraction of zeros and an exponent. */
import { ScalarType, type DescEnum, type DescField } from "@bufbuild/protobuf"
import { Buffer } from "node:buffer"
import { BadText } from "./BadText.ts"
import type { JsonCursor } from "./JsonCursor.ts"

/** Takes a value. */
export type Read = (cursor: JsonCursor) => unknown

/** An enum value by a name that nobody knows, and which nobody asks about. */
export const unknown = Symbol("an unknown name of an enum value")

const whole = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/** The text of a number, which may be in quotes. */
const numeral = (cursor: JsonCursor): string | undefined => {
  if (!cursor.isString()) return cursor.isNumber() ? cursor.number() : undefined
  const text = cursor.string()
  return whole.test(text) ? text : undefined
}

const parts = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

/** An integer of any size; undefined for what is none. */
const integer = (text: string | undefined): bigint | undefined => {
  if (text === undefined) return undefined
  if (/^-?\d+$/.test(text)) return text.length > 24 ? undefined : BigInt(text)
  const [, sign, digits = "", fraction = "", power = "0"] = parts.exec(text)!
  const exponent = Number(power) - fraction.length
  const all = digits + fraction
  if (/^0+$/.test(all)) return 0n
  // no integer of 64 bits has as many digits
  if (exponent > 24 || all.length > 100) return undefined
  if (exponent >= 0) return BigInt(sign! + all + "0".repeat(exponent))
  return /^0+$/.test(all.slice(exponent)) && -exponent <= all.length ? BigInt(sign! + (all.slice(0, exponent) || "0")) : undefined
}

/** Short enough that a number of 64 bits holds all of it. */
const isShort = (text: string | undefined): text is string => text !== undefined && text.length < 16 && /^-?\d+$/.test(text)

const int32: Read = (cursor) => {
  const text = numeral(cursor)
  const number = isShort(text) ? Number(text) : Number(integer(text) ?? Number.NaN)
  if ((number | 0) !== number) throw BadText.expected("an integer of 32 bits")
  // not -0
  return number | 0
}

const uint32: Read = (cursor) => {
  const text = numeral(cursor)
  const number = isShort(text) ? Number(text) : Number(integer(text) ?? Number.NaN)
  if (number >>> 0 !== number) throw BadText.expected("an unsigned integer of 32 bits")
  // not -0
  return number >>> 0
}

const int64: Read = (cursor) => {
  const number = integer(numeral(cursor))
  if (number === undefined || BigInt.asIntN(64, number) !== number) throw BadText.expected("an integer of 64 bits")
  return number
}

const uint64: Read = (cursor) => {
  const number = integer(numeral(cursor))
  if (number === undefined || BigInt.asUintN(64, number) !== number) throw BadText.expected("an unsigned integer of 64 bits")
  return number
}

const special: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity]
])

const float = (single: boolean): Read => {
  const what = single ? "a number of 32 bits" : "a number of 64 bits"
  return (cursor) => {
    let text: string
    if (cursor.isString()) {
      text = cursor.string()
      const known = special.get(text)
      if (known !== undefined) return known
      if (!whole.test(text)) throw BadText.expected(what)
    } else if (cursor.isNumber()) text = cursor.number()
    else throw BadText.expected(what)
    const number = single ? Math.fround(Number(text)) : Number(text)
    if (number - number !== 0) throw BadText.expected(what)
    return number
  }
}

const boolean: Read = (cursor) => {
  const flag = cursor.takeBoolean()
  if (flag === undefined) throw BadText.expected("true or false")
  return flag
}

const string: Read = (cursor) => {
  if (!cursor.isString()) throw BadText.expected("a string")
  return cursor.string()
}

/** Either alphabet, with its padding or without; line breaks do not count. */
const base64 = /^(?:[A-Za-z\d+/]*|[A-Za-z\d_-]*)(={0,2})$/

const bytes: Read = (cursor) => {
  if (!cursor.isString()) throw BadText.expected("base64")
  const raw = cursor.string()
  const text = /[\r\n]/.test(raw) ? raw.replaceAll(/[\r\n]/g, "") : raw
  const padding = base64.exec(text)?.[1]!.length
  if (padding === undefined || (text.length - padding) % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) throw BadText.expected("base64")
  return new Uint8Array(Buffer.from(text, "base64"))
}

/** Of a singular field, an item or a value of a map. */
export const scalar = (type: ScalarType): Read => {
  switch (type) {
    case ScalarType.STRING:
      return string
    case ScalarType.BOOL:
      return boolean
    case ScalarType.BYTES:
      return bytes
    case ScalarType.DOUBLE:
      return float(false)
    case ScalarType.FLOAT:
      return float(true)
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

/** The same, in the form in which the field's message holds it: `jstype = JS_STRING` makes text of 64-bit integers. */
export const ofField = (field: DescField): Read => {
  const read = scalar(field.scalar!)
  return "longAsString" in field && field.longAsString ? (cursor) => String(read(cursor)) : read
}

/** By name or number; null is a value of `NullValue` alone. */
export const enumeration = (desc: DescEnum, ignoreUnknown: boolean): Read => {
  const isNull = desc.typeName === "google.protobuf.NullValue"
  const numbers = new Map<string, number>()
  for (const value of desc.values) numbers.set(value.jsonName, value.number)
  for (const value of desc.values) numbers.set(value.name, value.number)
  const declared = new Set(desc.values.map((value) => value.number))
  return (cursor) => {
    if (cursor.isString()) {
      const found = numbers.get(cursor.string()) ?? (ignoreUnknown ? unknown : undefined)
      if (found !== undefined) return found
    } else if (cursor.isNumber()) {
      const number = int32(cursor) as number
      if (desc.open || declared.has(number)) return number
    } else if (isNull && cursor.takeNull()) return 0
    throw BadText.expected(`a value of ${desc.typeName}`)
  }
}

/** The key of a map in the form in which it is a property name. */
export const mapKey = (type: ScalarType): ((key: string) => string) => {
  if (type === ScalarType.STRING) return (key) => key
  if (type === ScalarType.BOOL) {
    return (key) => {
      if (key !== "true" && key !== "false") throw BadText.expected("a key that is true or false")
      return key
    }
  }
  const signed = [
    ScalarType.INT32,
    ScalarType.SINT32,
    ScalarType.SFIXED32,
    ScalarType.INT64,
    ScalarType.SINT64,
    ScalarType.SFIXED64
  ].includes(type)
  const bits = [ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32, ScalarType.UINT32, ScalarType.FIXED32].includes(type) ? 32 : 64
  const form = signed ? /^[+-]?\d{1,40}$/ : /^\d{1,40}$/
  const fits = (number: bigint): boolean => (signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number)) === number
  return (key) => {
    const number = form.test(key) ? BigInt(key.replace("+", "")) : undefined
    if (number === undefined || !fits(number)) throw BadText.expected(`a key that is an integer of ${bits} bits`)
    return String(number)
  }
}
