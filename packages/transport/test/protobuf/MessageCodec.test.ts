/** The compiled codecs agree with protobuf-es: same bytes out, same messages in, the same inputs refused. */
import { create, type DescMessage, fromBinary, ScalarType, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Decoder from "../../src/protobuf/Decoder.ts"
import * as Encoder from "../../src/protobuf/Encoder.ts"
import * as MessageCodec from "../../src/MessageCodec.ts"
import { EchoReplySchema, EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import * as Rest from "../gen/test/v1/rest_pb.ts"
import { FileDescriptorProtoSchema, StructSchema, TimestampSchema } from "@bufbuild/protobuf/wkt"

/** A seeded source of chance (mulberry32), so that a failure comes again. */
const chance = (seed: number) => {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const pick = <A>(items: ReadonlyArray<A>): A => items[Math.floor(next() * items.length)]!
  return { next, pick }
}
type Chance = ReturnType<typeof chance>

const texts = [
  "",
  "a",
  "hello world",
  "grüße, 世界 🌍",
  "x".repeat(127),
  "y".repeat(128),
  "é".repeat(70),
  "z".repeat(300),
  "\u0000\u007f\u0080\u07ff\u0800\uffff"
]
const doubles = [0, -0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-300, 1.7976931348623157e308]
const floats = [0, -0, 1, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 3.4028234663852886e38]
const signed32 = [0, 1, -1, 127, 128, 16_383, 16_384, 2_147_483_647, -2_147_483_648]
const unsigned32 = [0, 1, 127, 128, 2_097_151, 4_294_967_295]
const signed64 = [0n, 1n, -1n, 127n, 128n, 4_294_967_295n, 4_294_967_296n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n]
const unsigned64 = [0n, 1n, 127n, 128n, 4_294_967_296n, 18_446_744_073_709_551_615n]

const scalar = (type: ScalarType, c: Chance): unknown => {
  switch (type) {
    case ScalarType.STRING:
      return c.pick(texts)
    case ScalarType.BYTES:
      return new Uint8Array(c.pick([0, 1, 5, 200])).map(() => Math.floor(c.next() * 256))
    case ScalarType.BOOL:
      return c.next() < 0.5
    case ScalarType.DOUBLE:
      return c.pick(doubles)
    case ScalarType.FLOAT:
      return Math.fround(c.pick(floats))
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return c.pick(signed64)
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return c.pick(unsigned64)
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return c.pick(unsigned32)
    default:
      return c.pick(signed32)
  }
}

/** An initialiser with about half of the fields set, in plain objects. */
const initOf = (desc: DescMessage, c: Chance, depth: number): Record<string, unknown> => {
  const init: Record<string, unknown> = {}
  for (const field of desc.fields) {
    if (c.next() < 0.5 || (depth <= 0 && field.message !== undefined)) continue
    const one = () =>
      field.message !== undefined
        ? initOf(field.message, c, depth - 1)
        : field.enum !== undefined
          ? c.pick(field.enum.values).number
          : scalar(field.scalar!, c)
    const wkt =
      field.message?.typeName.startsWith("google.protobuf.") === true &&
      !["google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.Empty"].includes(
        field.message.typeName
      )
    if (wkt) continue // what protobuf-es shows as plain values has tests of its own in the codecs
    if (field.oneof !== undefined) init[field.oneof.localName] = { case: field.localName, value: one() }
    else if (field.fieldKind === "list") init[field.localName] = Array.from({ length: c.pick([1, 2, 17]) }, one)
    else if (field.fieldKind === "map")
      init[field.localName] = Object.fromEntries(Array.from({ length: 3 }, () => [String(scalar(field.mapKey, c)), one()]))
    else init[field.localName] = one()
  }
  return init
}

const types: ReadonlyArray<DescMessage> = [
  EchoRequestSchema,
  EchoReplySchema,
  TimestampSchema,
  ...Object.values(Rest).filter(
    (value): value is DescMessage & (typeof Rest)["WideSchema"] => typeof value === "object" && "kind" in value && value.kind === "message"
  )
]
const compiled = types.filter((type) => Encoder.compile(type) !== undefined)

const hasForeign = (message: unknown, desc: DescMessage): boolean => {
  const record = message as { readonly $unknown?: ReadonlyArray<{ readonly no: number }> } & Record<string, unknown>
  if (record.$unknown?.some(({ no }) => desc.fields.some((field) => field.number === no))) return true
  return desc.fields.some((field) => {
    if (field.message === undefined) return false
    const value =
      field.oneof === undefined
        ? record[field.localName]
        : (record[field.oneof.localName] as { readonly case?: string; readonly value: unknown })
    const inner =
      field.oneof === undefined
        ? value
        : (value as { readonly case?: string }).case === field.localName
          ? (value as { readonly value: unknown }).value
          : undefined
    const all =
      inner === undefined
        ? []
        : field.fieldKind === "list"
          ? (inner as Array<unknown>)
          : field.fieldKind === "map"
            ? Object.values(inner as object)
            : [inner]
    return all.some((one) => hasForeign(one, field.message!))
  })
}

describe("compiled protobuf codecs", () => {
  it("exist for ordinary messages and leave the others to protobuf-es", () => {
    assert.includeMembers(
      compiled.map((type) => type.typeName),
      ["test.v1.EchoRequest", "test.v1.EchoReply", "google.protobuf.Timestamp"]
    )
    assert.isUndefined(
      Encoder.compile(StructSchema) && Encoder.compile(FileDescriptorProtoSchema),
      "proto2 has defaults and presence of its own"
    )
  })

  it.each(types.map((type) => [type.typeName, type] as const))("write the bytes of protobuf-es and read them back: %s", (_name, type) => {
    const c = chance(type.typeName.length)
    const codec = MessageCodec.proto(type)
    for (let i = 0; i < 60; i++) {
      const init = initOf(type, c, 2)
      const message = create(type, init)
      const expected = toBinary(type, message)
      assert.deepStrictEqual(new Uint8Array(codec.encode(init)), expected, "from an initialiser")
      assert.deepStrictEqual(new Uint8Array(codec.encode(message)), expected, "from a message")
      assert.deepStrictEqual(new Uint8Array(MessageCodec.encodeFramed(codec, init)).subarray(5), expected)
      assert.deepStrictEqual(codec.decode(expected), fromBinary(type, expected))
    }
  })

  it.each(compiled.map((type) => [type.typeName, type] as const))("refuse what protobuf-es refuses: damaged %s", (_name, type) => {
    const c = chance(7)
    const decode = Decoder.compile(type)!
    for (let i = 0; i < 150; i++) {
      const bytes = toBinary(type, create(type, initOf(type, c, 2)))
      const damaged = c.next() < 0.3 ? bytes.slice(0, Math.floor(c.next() * bytes.length)) : bytes.slice()
      for (let k = 0; k < 3 && damaged.length > 0; k++) damaged[Math.floor(c.next() * damaged.length)] = Math.floor(c.next() * 256)
      const outcome = <A>(f: () => A) => {
        try {
          return f()
        } catch {
          return "refused"
        }
      }
      const ours = outcome(() => decode(damaged))
      // A known field in a foreign wire type is an unknown field by the specification; protobuf-es reads it as if the type were right.
      if (ours !== "refused" && hasForeign(ours, type)) continue
      const theirs = outcome(() => fromBinary(type, damaged))
      if (ours === "refused" && theirs !== "refused") continue // for the same reason
      assert.deepStrictEqual(ours, theirs, Buffer.from(damaged).toString("hex"))
    }
  })

  it("keep unknown fields", () => {
    const codec = MessageCodec.proto(TimestampSchema)
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { count: 3, echoMetadata: ["a", "b"] }))
    assert.deepStrictEqual(
      new Uint8Array(codec.encode(codec.decode(bytes)!)),
      toBinary(TimestampSchema, fromBinary(TimestampSchema, bytes))
    )
  })

  it("do not keep the bytes they were given", () => {
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array([1, 2, 3]) }))
    const message = MessageCodec.proto(EchoRequestSchema).decode(bytes) as unknown as { readonly payload: Uint8Array }
    bytes.fill(0)
    assert.deepStrictEqual(new Uint8Array(message.payload), new Uint8Array([1, 2, 3]))
  })

  it.each([
    ["a number for a string", { text: 5 }],
    ["a fraction for an integer", { count: 1.5 }],
    ["an integer beyond 32 bits", { count: 2 ** 31 }],
    ["a string for a list", { echoMetadata: "x" }]
  ])("say what protobuf-es says of %s", (_name, value) => {
    const outcome = (f: () => Uint8Array) => {
      try {
        return Buffer.from(f()).toString("hex")
      } catch (error) {
        return String(error)
      }
    }
    assert.strictEqual(
      outcome(() => MessageCodec.proto(EchoRequestSchema).encode(value)),
      outcome(() => toBinary(EchoRequestSchema, create(EchoRequestSchema, value as never)))
    )
  })
})
