/** Messages for which protobuf-JSON has a form of their own: times, field masks, `Any`, and those that stand for JSON. */
import {
  create,
  toBinary,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry
} from "@bufbuild/protobuf"
import { isWrapperDesc } from "@bufbuild/protobuf/wkt"
import { BadText } from "./BadText.ts"
import { type JsonCursor, LIST, OBJECT } from "./JsonCursor.ts"
import type { ReadMessage } from "./JsonReader.ts"
import * as JsonScalar from "./JsonScalar.ts"
import * as TimeText from "./TimeText.ts"

export interface Context {
  readonly ignoreUnknown: boolean
  readonly registry: () => Registry
  readonly reader: (schema: DescMessage) => ReadMessage
}

/** The reader of a message that has a form of its own. */
export const reader = (schema: DescMessage, context: Context): ReadMessage | undefined => {
  if (isWrapperDesc(schema)) {
    const read = JsonScalar.ofField(schema.fields[0]!)
    return (cursor, message) => void Object.assign(message, { value: read(cursor) })
  }
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return (cursor, message) => void Object.assign(message, TimeText.parseTimestamp(textOf(cursor, "a time in RFC 3339")))
    case "google.protobuf.Duration":
      return (cursor, message) => void Object.assign(message, TimeText.parseSeconds(textOf(cursor, "seconds such as 1.5s")))
    case "google.protobuf.FieldMask":
      return (cursor, message) => void Object.assign(message, { paths: paths(textOf(cursor, "paths of fields").trim()) })
    case "google.protobuf.Struct":
      return (cursor, message) => void Object.assign(message, { fields: fields(cursor) })
    case "google.protobuf.ListValue":
      return (cursor, message) => void Object.assign(message, { values: values(cursor) })
    case "google.protobuf.Value":
      return (cursor, message) => void Object.assign(message, { kind: kind(cursor) })
    case "google.protobuf.Any":
      return any(context)
    default:
      return undefined
  }
}

export const isAny = (schema: DescMessage): boolean => schema.typeName === "google.protobuf.Any"

/** Structs in fields are held as the JSON that they stand for. */
export const isPlainStruct = (field: DescField): boolean =>
  field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value"

/** Sets a property of an object that holds what peers name. */
export const own = (object: object, key: string, value: unknown): void => {
  // assigning `__proto__` would change the prototype
  if (key === "__proto__") Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  else (object as Record<string, unknown>)[key] = value
}

const textOf = (cursor: JsonCursor, what: string): string => {
  if (!cursor.isString()) throw BadText.expected(what)
  return cursor.string()
}

const path = /^[A-Za-z_][A-Za-z_\d]*(?:\.[A-Za-z_][A-Za-z_\d]*)*$/

const paths = (text: string): Array<string> =>
  text === ""
    ? []
    : text.split(",").map((camel) => {
        const snake = camel.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
        if (camel.includes("_") || !path.test(snake)) throw BadText.expected("paths of fields")
        return snake
      })

/** Calls `visit` at each value of an object. */
const members = (cursor: JsonCursor, visit: (key: string) => void): void => {
  if (!cursor.open(OBJECT)) return
  do visit(cursor.key())
  while (cursor.more(OBJECT))
}

const unique = (object: object, key: string): string => {
  if (Object.hasOwn(object, key)) throw new BadText("a key is there twice")
  return key
}

const items = <A>(cursor: JsonCursor, read: (cursor: JsonCursor) => A): Array<A> => {
  const found: Array<A> = []
  if (!cursor.open(LIST)) return found
  do found.push(read(cursor))
  while (cursor.more(LIST))
  return found
}

/** A number of JSON; one that no double holds is an error. */
const number = (cursor: JsonCursor): number => {
  const value = Number(cursor.number())
  if (!Number.isFinite(value)) throw BadText.expected("a number of 64 bits")
  return value
}

export const jsonObject = (cursor: JsonCursor): JsonObject => {
  const object: JsonObject = {}
  members(cursor, (key) => own(object, unique(object, key), json(cursor)))
  return object
}

const json = (cursor: JsonCursor): JsonValue => {
  switch (cursor.peek()) {
    case OBJECT:
      return jsonObject(cursor)
    case LIST:
      return items(cursor, json)
    default:
      return plain(cursor)
  }
}

const plain = (cursor: JsonCursor): string | number | boolean | null => {
  if (cursor.isString()) return cursor.string()
  if (cursor.isNumber()) return number(cursor)
  if (cursor.takeNull()) return null
  return cursor.takeBoolean() ?? cursor.fail("a value")
}

const fields = (cursor: JsonCursor): Record<string, unknown> => {
  const object = {}
  members(cursor, (key) => own(object, unique(object, key), value(cursor)))
  return object
}

const values = (cursor: JsonCursor): Array<unknown> => items(cursor, value)

const value = (cursor: JsonCursor): unknown => ({ $typeName: "google.protobuf.Value", kind: kind(cursor) })

const kind = (cursor: JsonCursor): { readonly case: string; readonly value: unknown } => {
  switch (cursor.peek()) {
    case OBJECT:
      return { case: "structValue", value: { $typeName: "google.protobuf.Struct", fields: fields(cursor) } }
    case LIST:
      return { case: "listValue", value: { $typeName: "google.protobuf.ListValue", values: values(cursor) } }
  }
  const held = plain(cursor)
  switch (typeof held) {
    case "string":
      return { case: "stringValue", value: held }
    case "number":
      return { case: "numberValue", value: held }
    case "boolean":
      return { case: "boolValue", value: held }
    default:
      return { case: "nullValue", value: 0 }
  }
}

/** Types inside of an `Any` whose form is no object with their fields stand under `value`. */
const isValue = (schema: DescMessage, context: Context): boolean =>
  schema.typeName === "google.protobuf.Empty" || reader(schema, context) !== undefined

const any =
  (context: Context): ReadMessage =>
  (cursor, message) => {
    const mark = cursor.mark()
    let typeUrl: string | undefined
    let count = 0
    members(cursor, (key) => {
      count++
      if (key !== "@type") return cursor.skip()
      if (typeUrl !== undefined) throw new BadText("@type: it is there twice")
      typeUrl = textOf(cursor, "the name of a type")
    })
    if (typeUrl === undefined) {
      // nothing, in which nothing is known
      if (count > 0 && !context.ignoreUnknown) throw BadText.expected("@type")
      return
    }
    const schema = context.registry().getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
    if (typeUrl === "" || schema === undefined) throw BadText.expected("a type that the contract has")
    const held = create(schema)
    const end = cursor.mark()
    cursor.reset(mark)
    if (isValue(schema, context)) {
      let hasValue = false
      members(cursor, (key) => {
        if (key !== "value") {
          if (key !== "@type" && !context.ignoreUnknown) throw new BadText(`unknown field "${key.slice(0, 64)}"`)
          return cursor.skip()
        }
        if (hasValue) throw new BadText("value: it is there twice")
        hasValue = true
        context.reader(schema)(cursor, held, false)
      })
      if (!hasValue) throw BadText.expected("a value")
    } else context.reader(schema)(cursor, held, true)
    cursor.reset(end)
    Object.assign(message, { typeUrl, value: toBinary(schema, held as Message as never) })
  }
