/**
 * Our codecs beside Kratos' own, message by message. Of each message of a seed: both write it, each reads what the other wrote, and whatever differs is told.
 * Go's forms of structs lose things that even Go does not get back (`nil` and empty, say): then reading as Go reads is right, too.
 */
import { fromBinary, toBinary, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf"
import * as Result from "effect/Result"
import { isDeepStrictEqual } from "node:util"
import type * as Codec from "../../src/codec/Codec.ts"
import * as Form from "../../src/codec/Form.ts"
import * as GoTree from "../../src/codec/GoTree.ts"
import * as Json from "../../src/codec/Json.ts"
import * as JsonText from "../../src/codec/JsonText.ts"
import * as Msgpack from "../../src/codec/Msgpack.ts"
import * as Proto from "../../src/codec/Proto.ts"
import * as Xml from "../../src/codec/Xml.ts"
import * as Yaml from "../../src/codec/Yaml.ts"
import { FlatSchema, Wide_NestedSchema, WideSchema } from "../gen/test/v1/rest_pb.ts"
import type * as GoPeer from "./GoPeer.ts"
import { message, random } from "./randomMessage.ts"

export interface Pair {
  readonly name: string
  readonly ours: Codec.Codec
  readonly theirs: GoPeer.Codec
  readonly schema: DescMessage
  /** See `Random`. */
  readonly narrow?: boolean
  readonly tame?: boolean
  /** What Go writes is left alone. */
  readonly oneWay?: boolean
  /** What no text can say is taken out of what is compared. */
  readonly normal?: (message: Message) => Message
  /** The fields that both sides write and read. */
  readonly accept: (field: DescField) => boolean
  /** What both must write alike; undefined where order or style are free. */
  readonly text: ((bytes: Uint8Array) => unknown) | undefined
}

const decoded = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/**
 * Go's protojson puts spaces between tokens at random, and the keys of maps have no order. A `google.protobuf.Value` that is unset Go writes as null, which
 * is a value when it is read again: we leave it out. (Not by `JSON.parse`, which now and then takes the key `"\\n"` for a backslash.)
 */
const json = (bytes: Uint8Array): unknown => {
  const sorted = (tree: GoTree.Tree): unknown =>
    Array.isArray(tree)
      ? tree.map(sorted)
      : GoTree.isEntries(tree)
        ? new Map(tree.entries.map(([key, value]) => [key, sorted(value)]))
        : tree
  const document = sorted(JsonText.parse(decoded(bytes), 200)) as Map<string, unknown>
  if (document.get("value") === null) document.delete("value")
  return document
}

const isOneof = (field: DescField): boolean => field.oneof !== undefined
const holds = (field: DescField, ...names: ReadonlyArray<string>): boolean =>
  names.some((name) => field.message?.typeName === `google.protobuf.${name}`)
const isFloat = (field: DescField): boolean => field.scalar === 1 || field.scalar === 2 || holds(field, "DoubleValue", "FloatValue")
/** A form has no pair for a message that holds nothing. */
const withoutEmpty = (value: Message): Message => {
  for (const name of ["nested", "child"] as const) {
    // a message is a record of its members
    const members = value as unknown as Record<string, Message | undefined>
    const held = members[name]
    if (held !== undefined && toBinary(Wide_NestedSchema, withoutEmpty(held) as never).length === 0) delete members[name]
  }
  return value
}
const always = (): boolean => true

export const pairs: ReadonlyArray<Pair> = [
  { name: "JSON, v2", ours: Json.json, theirs: "v2/json", schema: WideSchema, accept: always, text: json },
  { name: "JSON, v3", ours: Json.protojson, theirs: "v3/protojson", schema: WideSchema, accept: always, text: json },
  { name: "binary, v2", ours: Proto.codec, theirs: "v2/proto", schema: WideSchema, accept: always, text: undefined },
  { name: "binary, v3", ours: Proto.codec, theirs: "v3/proto", schema: WideSchema, accept: always, text: undefined },
  // Go's library knows neither maps of flags nor members of interfaces
  {
    name: "standard JSON, v3",
    ours: Json.std,
    theirs: "v3/json",
    schema: WideSchema,
    accept: (field) => field.name !== "by_flag" && !isOneof(field),
    text: decoded
  },
  {
    name: "standard JSON with oneofs, v3",
    ours: Json.std,
    theirs: "v3/json",
    schema: WideSchema,
    accept: (field) => field.name !== "by_flag" && !holds(field, "Value", "Struct", "ListValue") && !isFloat(field),
    text: decoded
  },
  ...(["v2/form", "v3/form"] as const).map((theirs) => ({
    name: `form, ${theirs.slice(0, 2)}`,
    ours: Form.codec,
    theirs,
    schema: WideSchema,
    narrow: true,
    normal: withoutEmpty,
    // Go drops, or fails for, what has no text of its own inside of lists and maps
    accept: (field: DescField) =>
      !holds(field, "Struct", "Value", "ListValue", "Any", "Empty") && !["nesteds", "by_long", "choice_nested"].includes(field.name),
    text: decoded
  })),
  {
    name: "XML, v3",
    ours: Xml.codec,
    theirs: "v3/xml",
    // Go writes no message that may have a map
    schema: FlatSchema,
    accept: always,
    text: decoded
  },
  // yaml.v3 loses the line break with which a text begins, and writes U+2028 as a break of lines, which YAML has not been doing since 1.2
  ...[true, false].map((tame) => ({
    name: tame ? "YAML, v3" : "YAML that we write, v3",
    ours: Yaml.codec,
    theirs: "v3/yaml" as const,
    schema: WideSchema,
    tame,
    oneWay: !tame,
    accept: (field: DescField) => !isOneof(field) && !holds(field, "Struct", "Value", "ListValue"),
    text: undefined
  })),
  {
    name: "MessagePack",
    ours: Msgpack.codec,
    theirs: "msgpack",
    schema: WideSchema,
    accept: (field) => !isOneof(field) && !holds(field, "Struct", "Value", "ListValue"),
    text: undefined
  }
]

export interface Disagreement {
  readonly what: string
  readonly detail: string
}

/** What a message on the wire says: floats have 32 bits. */
const canonical = (schema: DescMessage, value: Message): Message => fromBinary(schema, toBinary(schema, value))

/** Disagreements about the message of one seed. */
export const compare = async (pair: Pair, peer: GoPeer.GoPeer, seed: number): Promise<ReadonlyArray<Disagreement>> => {
  const found: Array<Disagreement> = []
  const tell = (what: string, ...detail: ReadonlyArray<unknown>): void => void found.push({ what, detail: detail.map(String).join("\n") })
  const { accept, narrow = false, normal = (value: Message) => value, oneWay = false, ours, schema, tame = false, text, theirs } = pair
  const binary = toBinary(schema, message(schema, random(seed, { wild: true, narrow, tame }), accept))
  const value = fromBinary(schema, binary)
  const mine = ours.encode(schema, value as never)
  const asked = peer.ask("encode", theirs, schema.typeName, binary)
  const askedMine = Result.isSuccess(mine) ? peer.ask("decode", theirs, schema.typeName, mine.success) : undefined
  const go = await asked
  const goBack = "data" in go && !oneWay ? await peer.ask("decode", theirs, schema.typeName, go.data) : undefined
  const lossy = goBack !== undefined && "data" in goBack ? fromBinary(schema, goBack.data) : undefined
  const isRight = (actual: Message): boolean => agrees(normal(actual), normal(fromBinary(schema, binary)), lossy)

  if (Result.isFailure(mine) && "data" in go) tell("we do not write what Go does", mine.failure.cause, decoded(go.data))
  if (Result.isSuccess(mine) && "error" in go) tell("Go does not write what we do", go.error, decoded(mine.success))
  if (Result.isSuccess(mine) && "data" in go && text !== undefined && !isDeepStrictEqual(text(mine.success), text(go.data))) {
    const [a, b] = [decoded(mine.success), decoded(go.data)]
    let at = 0
    while (a[at] === b[at]) at++
    tell("the texts differ", a.slice(Math.max(0, at - 60), at + 60), b.slice(Math.max(0, at - 60), at + 60))
  }
  if (askedMine !== undefined && Result.isSuccess(mine)) {
    const back = await askedMine
    if ("error" in back) {
      // what Go cannot read of its own it cannot read of ours
      if (lossy !== undefined || oneWay) tell("Go does not read what we wrote", back.error, decoded(mine.success))
    } else if (!isRight(fromBinary(schema, back.data)))
      tell("Go reads what we wrote otherwise", difference(fromBinary(schema, back.data), value), decoded(mine.success))
  }
  if ("data" in go && !oneWay) {
    const back = ours.decode(schema, go.data)
    if (Result.isFailure(back)) tell("we do not read what Go wrote", back.failure.message, decoded(go.data))
    else if (!isRight(canonical(schema, back.success)))
      tell("we read what Go wrote otherwise", difference(canonical(schema, back.success), value), decoded(go.data))
  }
  return found
}

/** Disagreements about an input: whether it is a message, and which. */
export const read = async (pair: Pair, peer: GoPeer.GoPeer, input: Uint8Array): Promise<ReadonlyArray<Disagreement>> => {
  const { normal = (value: Message) => value, ours, schema, theirs } = pair
  const mine = ours.decode(schema, input)
  const go = await peer.ask("decode", theirs, schema.typeName, input)
  const text = decoded(input)
  if ("error" in go) return Result.isFailure(mine) ? [] : [{ what: "we take what Go does not", detail: `${go.error}\n${text}` }]
  if (Result.isFailure(mine)) return [{ what: "we do not take what Go does", detail: `${mine.failure.message}\n${text}` }]
  const [a, b] = [normal(canonical(schema, mine.success)), normal(fromBinary(schema, go.data))]
  return isDeepStrictEqual(a, b) ? [] : [{ what: "we take it for another message", detail: `${difference(a, b)}\n${text}` }]
}

/** Whether each part is that of one of two values. */
const agrees = (actual: unknown, one: unknown, other: unknown): boolean =>
  isDeepStrictEqual(actual, one) ||
  (other !== undefined && isDeepStrictEqual(actual, other)) ||
  (isRecord(actual) &&
    isRecord(one) &&
    isRecord(other) &&
    [...new Set([...Object.keys(actual), ...Object.keys(one)])].every(
      (key) => agrees(actual[key], one[key], other[key]) || (other[key] === undefined && actual[key] === undefined)
    ))

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !(value instanceof Uint8Array)

/** Where two values differ, for people. */
const difference = (actual: unknown, expected: unknown, path = ""): string => {
  if (isDeepStrictEqual(actual, expected)) return ""
  if (!isRecord(actual) || !isRecord(expected)) return `${path}: ${shown(actual)} for ${shown(expected)}`
  return [...new Set([...Object.keys(actual), ...Object.keys(expected)])]
    .map((key) => difference(actual[key], expected[key], `${path}.${key}`))
    .filter((text) => text !== "")
    .join("; ")
}

const shown = (value: unknown): string =>
  Object.is(value, -0)
    ? "-0"
    : String(JSON.stringify(value, (_, item: unknown) => (typeof item === "bigint" ? `${item}n` : item)) ?? value).slice(0, 200)
