/**
 * Whether encoded protobuf has what protobuf-es does not check and ours does, as Go and C++ do (protobuf.dev, "Encoding"): fields whose wire types are those
 * of their declarations, varints of at most ten octets, tags and lengths of at most 32 bits, fields that end within their message. Found without either codec.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf"

const wireOf = (type: ScalarType | undefined): number => {
  switch (type) {
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 5
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 2
    default:
      return 0
  }
}

const accepts = (field: DescField, wire: number): boolean => {
  if (field.message !== undefined || field.fieldKind === "map") return wire === 2
  const own = wireOf(field.scalar)
  return wire === own || (field.fieldKind === "list" && own !== 2 && wire === 2)
}

/** A varint that is too long, or too large for what it stands for. */
class TooLong extends Error {}

/** True as well for bytes that break off, or are none: what comes before fits. */
export const fit = (schema: DescMessage, bytes: Uint8Array): boolean => {
  try {
    return fieldsFit(schema, bytes, 0)
  } catch (error) {
    if (error instanceof TooLong) return false
    throw error
  }
}

const fieldsFit = (schema: DescMessage, bytes: Uint8Array, depth: number): boolean => {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let i = 0; i < 10; i++) {
      const octet = bytes[at++] ?? 0
      value += (octet & 127) * 2 ** (7 * i)
      if (octet < 128) return value
    }
    throw new TooLong()
  }
  const uint32 = (): number => {
    const value = varint()
    if (value >= 2 ** 32) throw new TooLong()
    return value
  }
  if (depth > 100) return true
  while (at < bytes.length) {
    const tag = uint32()
    const wire = tag & 7
    const field = schema.fields.find(({ number }) => number === Math.floor(tag / 8))
    if (field !== undefined && !accepts(field, wire)) return false
    if (wire === 0) varint()
    else if (wire === 1) at += 8
    else if (wire === 5) at += 4
    else if (wire === 2) {
      const length = uint32()
      if (at + length > bytes.length) return depth === 0
      const content = bytes.subarray(at, at + length)
      if (field?.fieldKind === "map") {
        if (!entryFits(field, content, depth)) return false
      } else if (field?.message !== undefined && !fieldsFit(field.message, content, depth + 1)) return false
      at += length
    }
    // groups: their fields are looked at as if they were ours, which refuses more than it must
    else if (wire !== 3 && wire !== 4) return true
  }
  return depth === 0 || at <= bytes.length
}

/** Key and value of an entry are fields 1 and 2 of a message without a name. */
const entryFits = (field: DescField & { readonly fieldKind: "map" }, bytes: Uint8Array, depth: number): boolean => {
  const key = { number: 1, fieldKind: "scalar", scalar: field.mapKey } as unknown as DescField // as much of it as is looked at
  const value = { number: 2, fieldKind: "scalar", scalar: field.scalar, message: field.message } as unknown as DescField // as above
  return fieldsFit({ fields: [key, value] } as unknown as DescMessage, bytes, depth + 1)
}
