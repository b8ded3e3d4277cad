/** Random messages from a descriptor, by a seed: every kind of field, with the values where things go wrong more likely than others. */
import { create, ScalarType, type DescEnum, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf"
import { reflect } from "@bufbuild/protobuf/reflect"
import { anyPack, isWrapperDesc, StringValueSchema } from "@bufbuild/protobuf/wkt"

export interface Random {
  /** From 0 up to, without, `limit`. */
  readonly below: (limit: number) => number
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  /** Whether enums may have values that nobody declared, numbers any bits, and an `Any` a message. */
  readonly wild: boolean
  /** Only what Kratos' form codec can write: declared enum values, durations of less than 292 years. */
  readonly narrow: boolean
  /** Text without line breaks and tabs. */
  readonly tame: boolean
}

/** A small generator of 32 bits of state (mulberry32). */
export const random = (
  seed: number,
  { narrow = false, tame = false, wild = false }: Partial<Pick<Random, "narrow" | "tame" | "wild">> = {}
): Random => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, pick: (items) => items[below(items.length)]!, narrow, tame, wild }
}

const broken = new Set(["\n", "\t", "\u2028"])
const pieces = [
  "a",
  "Z",
  "0",
  " ",
  "+",
  "&",
  "=",
  "%",
  "/",
  "?",
  "#",
  ".",
  ",",
  '"',
  "\\",
  "\n",
  "\t",
  "\u0000",
  "\u007f",
  "ü",
  "世",
  "😀",
  "\u2028",
  "<",
  "-",
  "_",
  "[",
  "x"
]

const tame = pieces.filter((piece) => !broken.has(piece))

export const text = (random: Random, longest = 8): string =>
  Array.from({ length: random.below(longest + 1) }, () => random.pick(random.tame ? tame : pieces)).join("")

/** Which fields get values; the default is all. */
export type Accept = (field: DescField) => boolean

export const message = <D extends DescMessage>(schema: D, random: Random, accept: Accept = () => true, depth = 0): Message => {
  const message = create(schema)
  const view = reflect(schema, message)
  for (const field of schema.fields) {
    if (random.below(3) !== 0 || !accept(field) || (field.message !== undefined && depth > 2)) continue
    if (field.fieldKind === "list") {
      const list = view.get(field)
      for (let count = random.below(4); count > 0; count--) list.add(value(field, random, accept, depth) as never)
    } else if (field.fieldKind === "map") {
      const map = view.get(field)
      for (let count = random.below(4); count > 0; count--)
        map.set(key(field.mapKey, random) as never, value(field, random, accept, depth) as never)
    } else if (field.oneof === undefined || view.oneofCase(field.oneof) === undefined) {
      view.set(field, value(field, random, accept, depth) as never)
    }
  }
  return message
}

const key = (type: ScalarType, random: Random): unknown => (type === ScalarType.STRING ? text(random) || "__proto__" : scalar(type, random))

const value = (field: DescField, random: Random, accept: Accept, depth: number): unknown => {
  if (field.enum !== undefined) return enumeration(field.enum, random)
  if (field.message === undefined) return scalar(field.scalar!, random)
  return reflect(field.message, special(field.message, random) ?? message(field.message, random, accept, depth + 1))
}

const enumeration = (desc: DescEnum, random: Random): number =>
  random.wild && !random.narrow && desc.values.length > 1 && random.below(8) === 0
    ? random.pick([-1, 77, 2147483647, -2147483648])
    : random.pick(desc.values).number

const special = (schema: DescMessage, random: Random): Message | undefined => {
  const make = (init: object) => create(schema, init as never)
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return make({ seconds: random.pick([0n, -62135596800n, 253402300799n, 1_700_000_000n, -1n]), nanos: nanos(random) })
    case "google.protobuf.Duration": {
      const sign = random.pick([1, -1])
      return make({
        seconds: random.pick([0n, 1n, 59n, 60n, 3600n, 86_399n, random.narrow ? 9_000_000_000n : 315_576_000_000n - 1n]) * BigInt(sign),
        nanos: nanos(random) * sign
      })
    }
    case "google.protobuf.FieldMask":
      return make({ paths: Array.from({ length: 1 + random.below(3) }, () => random.pick(["a", "a_b", "nested.child_name", "x"])) })
    case "google.protobuf.Struct":
      return make({ fields: Object.fromEntries(Array.from({ length: random.below(3) }, () => [text(random), jsonValue(random, 0)])) })
    case "google.protobuf.Value":
      return jsonValue(random, 0)
    case "google.protobuf.ListValue":
      return make({ values: Array.from({ length: 1 + random.below(3) }, () => jsonValue(random, 0)) })
    case "google.protobuf.Any":
      if (!random.wild) return make({})
      return anyPack(StringValueSchema, create(StringValueSchema, { value: text(random) }))
    default:
      return isWrapperDesc(schema) ? make({ value: scalar(schema.fields[0]!.scalar!, random) }) : undefined
  }
}

const nanos = (random: Random) => random.pick([0, 1, 999_999_999, 500_000_000, 120_000, 1_000])

const jsonValue = (random: Random, depth: number): Message => {
  const kinds: ReadonlyArray<() => { case: string; value: unknown }> = [
    () => ({ case: "nullValue", value: 0 }),
    () => ({ case: "numberValue", value: random.pick([0, 1.5, -1e21, 1e-7]) }),
    () => ({ case: "stringValue", value: text(random) || "x" }),
    () => ({ case: "boolValue", value: random.below(2) === 1 }),
    () => ({ case: "listValue", value: { $typeName: "google.protobuf.ListValue", values: [jsonValue(random, depth + 1)] } }),
    () => ({ case: "structValue", value: { $typeName: "google.protobuf.Struct", fields: { k: jsonValue(random, depth + 1) } } })
  ]
  return { $typeName: "google.protobuf.Value", kind: random.pick(depth > 1 ? kinds.slice(0, 4) : kinds)() } as Message
}

/** 32 random bits. */
const bits = (random: Random): number => (random.below(0x10000) << 16) | random.below(0x10000)
const bits64 = (random: Random): bigint => (BigInt(bits(random)) << 32n) | BigInt(bits(random) >>> 0)

/** Any value of a number's type, large and small ones equally likely. */
const anyNumber = (type: ScalarType, random: Random): unknown => {
  switch (type) {
    case ScalarType.DOUBLE: {
      if (random.below(2) === 0) return (bits(random) / 10 ** random.below(12)) * 10 ** random.below(12)
      return new Float64Array(new BigInt64Array([bits64(random)]).buffer)[0]
    }
    case ScalarType.FLOAT:
      if (random.below(2) === 0) return Math.fround(bits(random) / 10 ** random.below(12))
      return new Float32Array(new Int32Array([bits(random)]).buffer)[0]
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return bits(random) >> random.below(32)
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return bits(random) >>> random.below(32)
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt.asUintN(64, bits64(random)) >> BigInt(random.below(64))
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return BigInt.asIntN(64, bits64(random)) >> BigInt(random.below(64))
    default:
      return undefined
  }
}

const scalar = (type: ScalarType, random: Random): unknown => {
  if (random.wild && random.below(2) === 0) {
    const number = anyNumber(type, random)
    if (number !== undefined) return number
  }
  switch (type) {
    case ScalarType.STRING:
      return text(random) || "s"
    case ScalarType.BOOL:
      return random.below(2) === 1
    case ScalarType.BYTES:
      return Uint8Array.from({ length: 1 + random.below(5) }, () => random.below(256))
    case ScalarType.DOUBLE:
      return random.pick([0, 1.5, -0, Number.NaN, Infinity, -Infinity, 1e21, 5e-324, 123456789.125])
    case ScalarType.FLOAT:
      return random.pick([0, 1.5, -0, Number.NaN, Infinity, -Infinity, Math.fround(1.1), Math.fround(1e38)])
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return random.pick([0, 1, -1, 2147483647, -2147483648])
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.pick([0, 1, 4294967295])
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.pick([0n, 1n, 18446744073709551615n])
    default:
      return random.pick([0n, 1n, -1n, 9223372036854775807n, -9223372036854775808n])
  }
}
