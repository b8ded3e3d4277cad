/** Our compiled codecs against protobuf-es. */
import {
  create,
  createRegistry,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type Message,
  toBinary,
  toJsonString
} from "@bufbuild/protobuf"
import { isDeepStrictEqual } from "node:util"
import { BadText } from "../../../packages/transport/src/codec/BadText.ts"
import * as JsonReader from "../../../packages/transport/src/codec/JsonReader.ts"
import * as JsonWriter from "../../../packages/transport/src/codec/JsonWriter.ts"
import * as MessageCodec from "../../../packages/transport/src/MessageCodec.ts"
import { EchoReplySchema, EchoRequestSchema } from "../../../packages/transport/test/gen/test/v1/echo_pb.ts"
import { WideSchema } from "../../../packages/transport/test/gen/test/v1/rest_pb.ts"
import * as RandomMessage from "../../../packages/transport/test/codec/randomMessage.ts"
import * as WireTypes from "../WireTypes.ts"
import { mutate } from "../Mutation.ts"
import type { Random } from "../Random.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"
import { FileDescriptorProtoSchema, StructSchema, TimestampSchema } from "@bufbuild/protobuf/wkt"

const schemas: ReadonlyArray<DescMessage> = [
  EchoRequestSchema,
  WideSchema,
  EchoReplySchema,
  TimestampSchema,
  StructSchema,
  FileDescriptorProtoSchema
]
const registry = createRegistry(WideSchema, EchoRequestSchema, EchoReplySchema)
const codecs = new Map<DescMessage, MessageCodec.MessageCodec>()
const codecOf = (schema: DescMessage): MessageCodec.MessageCodec => {
  let codec = codecs.get(schema)
  if (codec === undefined) codecs.set(schema, (codec = MessageCodec.proto(schema)))
  return codec
}

/** Tags and lengths as peers like to lie about them. */
const WORDS = [
  "\x08",
  "\x0a",
  "\x0b",
  "\x0c",
  "\x0d",
  "\x09",
  "\x0f",
  "\x00",
  "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
  "\xff\xff\xff\xff\x0f",
  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
  "\x0a\x00",
  "\x0a\x7f",
  "\xa2\x06\x00",
  "\xc0\xaf",
  "\xed\xa0\x80",
  "\x1b\x1c",
  "\x80\x00"
]

const attempt = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch {
    return undefined
  }
}

/** The first octet says which type, the rest are its bytes. */
const makeInput = (random: Random): string => {
  const which = random.below(random.below(3) === 0 ? schemas.length : 2)
  const schema = schemas[which]!
  // a random message may lack what is required
  const made =
    random.below(12) === 0 ? undefined : attempt(() => toBinary(schema, RandomMessage.message(schema, random, undefined, random.below(3))))
  const bytes = made === undefined ? random.octets(40) : textOf(made)
  return String.fromCharCode(which) + (random.below(8) === 0 ? bytes : mutate(random, bytes, WORDS))
}

const parts = (input: string): { readonly schema: DescMessage; readonly bytes: Uint8Array } => ({
  schema: schemas[input.charCodeAt(0) % schemas.length]!,
  // no Buffer: views of one are Buffers again
  bytes: Uint8Array.from(bytesOf(input.slice(1)))
})

export const binary: Target = {
  name: "protobuf",
  share: 1.2,
  law: "our decoder reads what protobuf-es reads, to the same message, and refuses what it refuses; our encoder writes the same bytes",
  make: makeInput,
  run: (input) => {
    const { bytes, schema } = parts(input)
    // protobuf-es reads a field by its declared type whatever its wire type says, and cuts what is too large; ours does as Go and C++ do
    if (!WireTypes.fit(schema, bytes)) return
    const codec = codecOf(schema)
    const ours = codec.decode(bytes)
    const theirs = attempt(() => fromBinary(schema, bytes))
    holds((ours === undefined) === (theirs === undefined), () => (ours === undefined ? "refused by us alone" : "read by us alone"))
    if (ours === undefined || theirs === undefined) return
    holds(isDeepStrictEqual(ours, theirs), () => `read as ${toJsonString(schema, ours)}, by protobuf-es as ${toJsonString(schema, theirs)}`)
    const written = attempt(() => Buffer.from(codec.encode(ours)))
    const expected = attempt(() => toBinary(schema, theirs))
    holds((written === undefined) === (expected === undefined), () => "written by one alone")
    if (written === undefined || expected === undefined) return
    holds(written.equals(expected), () => `written as ${written.toString("hex")}`)
    holds(written.equals(MessageCodec.encodeFramed(codec, ours).subarray(5)), () => "framed as something else")
  }
}

const registryOf = () => registry
const same = (schema: DescMessage, one: Message, other: Message): boolean =>
  Buffer.from(toBinary(schema, one)).equals(toBinary(schema, other))

/** The same but for the sign of zero, which protobuf-es loses, and for floats, which it writes with the digits of a double. */
const alike = (ours: unknown, theirs: unknown): boolean => {
  if (typeof ours === "number" && typeof theirs === "number")
    return ours === theirs || (Math.fround(theirs) === theirs && Math.fround(ours) === theirs)
  if (typeof ours !== "object" || ours === null || typeof theirs !== "object" || theirs === null) return ours === theirs
  const [mine, others] = [Object.entries(ours), Object.entries(theirs)]
  return mine.length === others.length && mine.every(([key, value], i) => key === others[i]![0] && alike(value, others[i]![1]))
}

export const json: Target = {
  name: "json-writer",
  law: "our JSON writer writes what protobuf-es writes, which it reads back; or both refuse",
  share: 0.3,
  make: makeInput,
  run: (input) => {
    const { bytes, schema } = parts(input)
    const message = attempt(() => fromBinary(schema, bytes))
    if (message === undefined || attempt(() => toBinary(schema, message)) === undefined) return
    for (const unset of ["none", "implicit"] as const) {
      const ours = attempt(() => JsonWriter.make({ unset, registryOf }).message(schema)(message))
      const theirs = attempt(() => toJsonString(schema, message, { alwaysEmitImplicit: unset === "implicit", registry }))
      holds((ours === undefined) === (theirs === undefined), () => `written by one alone: ours ${ours}, protobuf-es ${theirs}`)
      if (ours === undefined || theirs === undefined) continue
      const [mine, other] = [JSON.parse(ours), JSON.parse(theirs)] as readonly [unknown, unknown]
      holds(alike(mine, other), () => `ours ${ours}, protobuf-es ${theirs}`)
      const back = attempt(() => fromJsonString(schema, ours, { registry }))
      holds(
        (back === undefined) === (attempt(() => fromJsonString(schema, theirs, { registry })) === undefined),
        () => `cannot be read: ${ours}`
      )
    }
  }
}

const JSON_WORDS = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "null",
  "true",
  "1e3",
  "1e999",
  "-0",
  "1.0",
  "1.5",
  '"1"',
  '"NaN"',
  '"text":',
  '"__proto__":',
  "\\ud800",
  "\\u0000",
  '"@type":',
  "18446744073709551616",
  " ",
  "\n"
]

export const jsonReader: Target = {
  name: "json-reader",
  law: "a document that our JSON reader and protobuf-es both read, they read as the same message; ours throws nothing but BadText",
  share: 0.4,
  make: (random) => {
    const which = random.below(2)
    const schema = schemas[which]!
    const text = attempt(() => toJsonString(schema, RandomMessage.message(schema, random, undefined, 2), { registry })) ?? "{}"
    const short = text.length > 500 && random.below(2) === 0 ? text.slice(0, 500) : text
    return String.fromCharCode(which) + mutate(random, short, JSON_WORDS)
  },
  run: (input) => {
    const schema = schemas[input.charCodeAt(0) % schemas.length]!
    const text = input.slice(1)
    let ours: Message | undefined
    try {
      ours = JsonReader.make({ ignoreUnknown: true, maxDepth: 100, registryOf }).message(schema, text)
    } catch (error) {
      holds(error instanceof BadText, () => `throws ${error instanceof Error ? error.stack : String(error)}`)
    }
    const theirs = attempt(() => fromJsonString(schema, text, { ignoreUnknownFields: true, registry }))
    if (ours === undefined || theirs === undefined) return
    holds(
      same(schema, ours, theirs),
      () => `ours ${toJsonString(schema, ours, { registry })}, protobuf-es ${toJsonString(schema, theirs, { registry })}`
    )
  }
}

export const initialiser: Target = {
  name: "protobuf-init",
  share: 0.4,
  law: "an initialiser is written as the message that it makes",
  make: makeInput,
  run: (input) => {
    const { bytes, schema } = parts(input)
    const message = attempt(() => fromBinary(schema, bytes))
    if (message === undefined) return
    // what an initialiser may have: no type, no unknown fields of its own
    const { $typeName: _, $unknown: __, ...init } = message
    const ours = attempt(() => Buffer.from(codecOf(schema).encode(init)))
    const theirs = attempt(() => toBinary(schema, create(schema, init as never))) // what a handler would return
    holds((ours === undefined) === (theirs === undefined), () => "refused by one alone")
    if (ours !== undefined)
      holds(ours.equals(theirs!), () => `ours ${ours.toString("hex")}, protobuf-es ${Buffer.from(theirs!).toString("hex")}`)
  }
}
