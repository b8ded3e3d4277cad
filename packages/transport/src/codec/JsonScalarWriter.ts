/** Scalars and enum values of protobuf-JSON as text. */
import { ScalarType, type DescEnum, type DescField } from "@bufbuild/protobuf"
import { Buffer } from "node:buffer"
import * as FloatText from "./FloatText.ts"
import * as JsonString from "./JsonString.ts"

export type WriteValue = (value: unknown) => string

/** Whether a field of implicit presence holds what it would without being set. */
export const isZero = (field: DescField, value: unknown): boolean => {
  if (field.fieldKind === "enum") return value === field.enum.values[0]!.number
  switch (field.scalar) {
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      // -0 is not zero
      return Object.is(value, 0)
    case ScalarType.STRING:
      return value === ""
    case ScalarType.BOOL:
      return value === false
    case ScalarType.BYTES:
      return value instanceof Uint8Array && value.length === 0
    default:
      // 64-bit integers are bigint, string or number
      return value === 0 || value === 0n || value === "0"
  }
}

/** What is not of its field's type; the text says nothing of it. */
export const wrong = (expected: string): TypeError => new TypeError(`expected ${expected}`)

/** An enum value by its name, or as a number. */
export const enumeration = (desc: DescEnum, numbers: boolean): WriteValue => {
  const isNull = desc.typeName === "google.protobuf.NullValue"
  const names = new Map(numbers ? [] : desc.values.map((value) => [value.number, JSON.stringify(value.jsonName)]))
  return (value) => {
    if (typeof value !== "number") throw wrong("the number of an enum value")
    return isNull ? "null" : (names.get(value) ?? numeral(value))
  }
}

/** A scalar of a type. Writers throw for what is no such value. */
export const scalar = (type: ScalarType): WriteValue => {
  switch (type) {
    case ScalarType.STRING:
      return (value) => {
        if (typeof value !== "string") throw wrong("a string")
        return JsonString.quote(value)
      }
    case ScalarType.BOOL:
      return (value) => {
        if (typeof value !== "boolean") throw wrong("a boolean")
        return value ? "true" : "false"
      }
    case ScalarType.BYTES:
      return (value) => {
        if (!(value instanceof Uint8Array)) throw wrong("bytes")
        return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")}"`
      }
    case ScalarType.DOUBLE:
      return (value) => {
        if (typeof value !== "number") throw wrong("a number")
        return value - value === 0 ? (value === 0 && 1 / value < 0 ? "-0" : `${value}`) : `"${value}"`
      }
    case ScalarType.FLOAT:
      return (value) => {
        if (typeof value !== "number") throw wrong("a number")
        const short = FloatText.shorten(value)
        if (short - short === 0) return short === 0 && 1 / short < 0 ? "-0" : `${short}`
        if (value - value === 0) throw wrong("a number of 32 bits")
        return `"${value}"`
      }
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return (value) => {
        // what differs from its 32 bits is no such integer, or no number at all; -0 is 0
        if (((value as number) | 0) !== value) throw wrong("an integer of 32 bits")
        return `${value}`
      }
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return (value) => {
        if ((value as number) >>> 0 !== value) throw wrong("an unsigned integer of 32 bits")
        return `${value}`
      }
    default:
      return (value) => {
        if (typeof value !== "bigint" && typeof value !== "string" && !Number.isInteger(value)) throw wrong("an integer of 64 bits")
        return typeof value === "string" ? JsonString.quote(value) : `"${value as bigint | number}"`
      }
  }
}

const numeral = (value: number): string => (Number.isFinite(value) ? `${value}` : "null")
