/**
 * Messages as the values that Go's codecs find in generated structs (see `GoStruct`): the tree between a message and a format that knows nothing of
 * protobuf. Enums are numbers, timestamps and durations have seconds and nanos, wrappers a value.
 */
import { isMessage, toJson, type DescField, type DescMessage, type JsonValue, type Message, ScalarType } from "@bufbuild/protobuf"
import { isReflectMessage, reflect, type ReflectList, type ReflectMap, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import * as GoStruct from "./GoStruct.ts"

export type Tree =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float
  | Plain
  | ReadonlyArray<Tree>
  | { readonly entries: ReadonlyArray<Entry> }

export type Entry = readonly [key: Key, value: Tree]
/** Fields have names; maps also keys of other kinds. */
export type Key = string | number | bigint | boolean

/** A number with a fraction, or of a field that may have one: `1` is not `1.0` everywhere. */
export class Float {
  readonly value: number
  /** Of 32 bits. */
  readonly single: boolean
  constructor(value: number, single: boolean) {
    this.value = value
    this.single = single
  }
}

/** Text of which the format does not say what it is: `5` in YAML, everything in XML. */
export class Plain {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** What formats do differently. */
export interface Style {
  readonly name: (member: GoStruct.Member) => string
  /** Of a oneof, and of the member that is set in it. */
  readonly choiceName: (goName: string) => string
  /** Leaves out what is zero or empty. */
  readonly omitEmpty: boolean
  readonly bytes: (bytes: Uint8Array) => Tree
  /** A map's entries, in the order of their keys; as they are unless the format has no maps. */
  readonly map?: ((entries: ReadonlyArray<Entry>) => Tree) | undefined
  /** Structs of `google.protobuf` as the JSON that they stand for. */
  readonly plainJson: boolean
}

export const isEntries = (tree: Tree): tree is { readonly entries: ReadonlyArray<Entry> } =>
  typeof tree === "object" && tree !== null && "entries" in tree && !Array.isArray(tree) && !(tree instanceof Uint8Array)

/** Messages whose JSON is not an object with their fields, and for which Go's code says so. */
export const jsonTypes: ReadonlySet<string> = new Set(["Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`))

/** The tree of a message. Throws for a message of another type, and for values that are not of their fields' types. */
export const ofMessage = (schema: DescMessage, message: Message, style: Style): Tree => {
  if (!isMessage(message, schema)) throw new TypeError(`expected a message ${schema.typeName}`)
  return messageTree(reflect(schema, message), style)
}

/** The tree of one field's value; null when it is unset. */
export const ofField = (field: DescField, message: Message, style: Style): Tree => {
  const view = reflect(field.parent, message)
  if (field.fieldKind === "message" && !view.isSet(field)) return null
  if (field.oneof !== undefined && view.oneofCase(field.oneof) !== field) return null
  return fieldTree(field, view, style)
}

const messageTree = (message: ReflectMessage, style: Style): Tree => {
  if (style.plainJson && jsonTypes.has(message.desc.typeName)) return jsonTree(toJson(message.desc, message.message))
  const entries: Array<Entry> = []
  for (const member of GoStruct.of(message.desc).members) {
    if (GoStruct.isChoice(member)) {
      const set = message.oneofCase(member.oneof)
      const chosen = set === undefined ? undefined : member.members.find(({ field }) => field === set)
      entries.push([
        style.choiceName(member.goName),
        chosen === undefined ? null : { entries: [[style.choiceName(chosen.goName), fieldTree(chosen.field, message, style)]] }
      ])
      continue
    }
    const { field } = member
    const isSet = message.isSet(field)
    if (!isSet && (style.omitEmpty || hasPresence(field))) {
      if (!style.omitEmpty) entries.push([style.name(member), null])
    } else if (style.omitEmpty && isEmptyInGo(field, message)) {
      // nothing, even where Go's code could tell
    } else entries.push([style.name(member), fieldTree(field, message, style)])
  }
  return { entries }
}

const implicit = 2
const hasPresence = (field: DescField): boolean => field.fieldKind !== "list" && field.fieldKind !== "map" && field.presence !== implicit

/** An empty slice, and a zero of either sign. */
const isEmptyInGo = (field: DescField, message: ReflectMessage): boolean => {
  if (field.fieldKind !== "scalar") return false
  if (field.scalar === ScalarType.BYTES) return (message.get(field) as Uint8Array).length === 0
  return (
    field.presence === implicit && (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT) && message.get(field) === 0
  )
}

const fieldTree = (field: DescField, message: ReflectMessage, style: Style): Tree => {
  // the getter's type depends on the kind of field
  const value: unknown = message.get(field)
  if (field.fieldKind === "list") return [...(value as ReflectList)].map((item) => valueTree(field, item, style))
  if (field.fieldKind === "map") {
    const entries = sorted([...(value as ReflectMap)].map(([key, item]): Entry => [key as Key, valueTree(field, item, style)]))
    return style.map === undefined ? { entries } : style.map(entries)
  }
  return valueTree(field, value, style)
}

const valueTree = (field: DescField, value: unknown, style: Style): Tree => {
  if (isReflectMessage(value)) return messageTree(value, style)
  if (value instanceof Uint8Array) return style.bytes(value)
  if (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT) {
    if (typeof value !== "number") throw new TypeError("expected a number")
    return new Float(value, field.scalar === ScalarType.FLOAT)
  }
  switch (typeof value) {
    case "string":
      // UTF-8 has no place for halves of characters
      return value.toWellFormed()
    case "boolean":
    case "bigint":
      return value
    case "number":
      if (Number.isInteger(value)) return value
  }
  throw new TypeError("expected a value of the field's type")
}

/** By the text of the keys, as Go has it. */
const sorted = (entries: Array<Entry>): Array<Entry> =>
  entries.sort(([a], [b]) => {
    const [left, right] = [String(a), String(b)]
    return left < right ? -1 : left > right ? 1 : 0
  })

const jsonTree = (json: JsonValue): Tree => {
  if (Array.isArray(json)) return json.map(jsonTree)
  if (typeof json === "object" && json !== null)
    return { entries: sorted(Object.entries(json).map(([key, value]): Entry => [key, jsonTree(value)])) }
  return typeof json === "number" ? new Float(json, false) : json
}
