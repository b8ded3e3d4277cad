/** Which message types the compiled codecs handle, and what they have to know of a field. The rest is left to protobuf-es. */
import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf"
import { isWrapperDesc } from "@bufbuild/protobuf/wkt"

/** `FieldPresence.IMPLICIT` of the editions' features. */
const IMPLICIT = 2
/** `FieldPresence.LEGACY_REQUIRED`. */
const REQUIRED = 3

/** True when values of this type are encoded and decoded by compiled code, at any depth. */
export const isSupported = (desc: DescMessage, seen: Set<DescMessage> = new Set()): boolean => {
  if (seen.has(desc)) return true
  seen.add(desc)
  // defaults on a prototype come with proto2 and some editions
  if (Object.getPrototypeOf(create(desc)) !== Object.prototype) return false
  return desc.fields.every((field) => isFieldSupported(field) && (field.message === undefined || isSupported(field.message, seen)))
}

const isFieldSupported = (field: DescField): boolean => {
  if (field.presence === REQUIRED || field.enum?.open === false) return false
  if ("delimitedEncoding" in field && field.delimitedEncoding) return false
  if ("longAsString" in field && field.longAsString) return false
  // protobuf-es shows these as plain values, not as messages
  if (
    field.fieldKind === "message" &&
    field.oneof === undefined &&
    (isWrapperDesc(field.message) || field.message.typeName === "google.protobuf.Struct")
  )
    return false
  return field.message?.typeName !== "google.protobuf.Struct"
}

export const isImplicit = (field: DescField): boolean => field.presence === IMPLICIT

/** The method of `Writer` and `Reader` for a scalar or an enum, and its wire type. */
export const scalar = (type: ScalarType | undefined): { readonly method: string; readonly wire: number; readonly zero: string } =>
  SCALARS[type ?? ScalarType.INT32]!

const SCALARS: Readonly<Record<number, { readonly method: string; readonly wire: number; readonly zero: string }>> = {
  [ScalarType.DOUBLE]: { method: "double", wire: 1, zero: "0" },
  [ScalarType.FLOAT]: { method: "float", wire: 5, zero: "0" },
  [ScalarType.INT64]: { method: "int64", wire: 0, zero: "0n" },
  [ScalarType.UINT64]: { method: "uint64", wire: 0, zero: "0n" },
  [ScalarType.INT32]: { method: "int32", wire: 0, zero: "0" },
  [ScalarType.FIXED64]: { method: "fixed64", wire: 1, zero: "0n" },
  [ScalarType.FIXED32]: { method: "fixed32", wire: 5, zero: "0" },
  [ScalarType.BOOL]: { method: "bool", wire: 0, zero: "false" },
  [ScalarType.STRING]: { method: "string", wire: 2, zero: '""' },
  [ScalarType.BYTES]: { method: "bytes", wire: 2, zero: "new Uint8Array(0)" },
  [ScalarType.UINT32]: { method: "uint32", wire: 0, zero: "0" },
  [ScalarType.SFIXED32]: { method: "sfixed32", wire: 5, zero: "0" },
  [ScalarType.SFIXED64]: { method: "sfixed64", wire: 1, zero: "0n" },
  [ScalarType.SINT32]: { method: "sint32", wire: 0, zero: "0" },
  [ScalarType.SINT64]: { method: "sint64", wire: 0, zero: "0n" }
}

/** A string literal of JavaScript. */
export const quote = (text: string): string => JSON.stringify(text).replace(/[\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`)

/** The types that a message refers to, itself first: their index names their functions. */
export const closure = (desc: DescMessage): ReadonlyArray<DescMessage> => {
  const types: Array<DescMessage> = [desc]
  for (let i = 0; i < types.length; i++) {
    for (const { message } of types[i]!.fields) if (message !== undefined && !types.includes(message)) types.push(message)
  }
  return types
}
