/**
 * Writes protobuf-JSON as text, compiled once per message type from its descriptor: the same bytes as protobuf-es' `toJsonString`, without
 * the tree of objects in between. Messages with a JSON form of their own, or with a shape that a plain walk would get wrong, are left to
 * protobuf-es.
 */
import {
  create,
  fromJson,
  ScalarType,
  toJsonString,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  type Registry
} from "@bufbuild/protobuf"
import { isWrapperDesc, StructSchema } from "@bufbuild/protobuf/wkt"
import { Buffer } from "node:buffer"

export interface Options {
  readonly alwaysEmitImplicit: boolean
  readonly registry?: Registry
}

/** Writers throw when a value does not have the type of its field. */
export interface JsonWriter {
  readonly message: (schema: DescMessage) => (message: Message) => string
  /** The value of one field as a document of its own; `null` for one that is unset, `{}` for an unset message. */
  readonly field: (field: DescField) => (message: Message) => string
}

type Members = Readonly<Record<string, unknown>>
type WriteValue = (value: unknown) => string
/** Appends the field with its name, if it is to be written. */
type WriteField = (message: Members, text: string) => string

/** From `FeatureSet.FieldPresence`: no way to tell unset from zero. */
const implicit = 2
const legacyRequired = 3

export const make = (options: Options): JsonWriter => {
  const writers = new WeakMap<DescMessage, (message: Message) => string>()
  const fields = new WeakMap<DescField, (message: Message) => string>()

  const message = (schema: DescMessage): ((message: Message) => string) => writers.get(schema) ?? compile(schema)

  const compile = (schema: DescMessage): ((message: Message) => string) => {
    if (!isPlain(schema)) {
      const write = (message: Message): string => toJsonString(schema, message, options as JsonWriteOptions)
      writers.set(schema, write)
      return write
    }
    const members: Array<WriteField> = []
    const { typeName } = schema
    const write = (message: Message): string => {
      if (message.$typeName !== typeName) throw new TypeError(`expected a message ${typeName}`)
      // a message is a record of its members
      const record = message as unknown as Members
      let text = "{"
      for (let index = 0; index < members.length; index++) text = members[index]!(record, text)
      return `${text}}`
    }
    // before the fields, for messages that hold themselves
    writers.set(schema, write)
    for (const field of schema.fields.toSorted((a, b) => a.number - b.number)) members.push(member(field))
    return write
  }

  const member = (field: DescField): WriteField => {
    const first = `${JSON.stringify(field.jsonName)}:`
    const later = `,${JSON.stringify(field.jsonName)}:`
    const name = field.localName
    const write = value(field)
    const append = (text: string, value: unknown): string => text + (text.length === 1 ? first : later) + write(value)
    if (field.oneof !== undefined) {
      const oneof = field.oneof.localName
      return (message, text) => {
        const choice = message[oneof] as { readonly case: string | undefined; readonly value?: unknown }
        return choice.case === name ? append(text, choice.value) : text
      }
    }
    if (field.fieldKind === "list") {
      return (message, text) =>
        (message[name] as ReadonlyArray<unknown>).length > 0 || options.alwaysEmitImplicit ? append(text, message[name]) : text
    }
    if (field.fieldKind === "map") {
      return (message, text) =>
        options.alwaysEmitImplicit || Object.keys(message[name] as object).length > 0 ? append(text, message[name]) : text
    }
    if (field.presence !== implicit) {
      return (message, text) => (message[name] !== undefined && Object.hasOwn(message, name) ? append(text, message[name]) : text)
    }
    if (options.alwaysEmitImplicit) return (message, text) => append(text, message[name])
    return (message, text) => (isZero(field, message[name]) ? text : append(text, message[name]))
  }

  const value = (field: DescField): WriteValue => {
    switch (field.fieldKind) {
      case "scalar":
        return scalar(field.scalar)
      case "enum":
        return enumeration(field.enum)
      case "message":
        return isUnwrapped(field) ? scalar(field.message.fields[0]!.scalar!) : nested(field)
      case "list": {
        const item =
          field.listKind === "scalar" ? scalar(field.scalar) : field.listKind === "enum" ? enumeration(field.enum) : nested(field)
        return (items) => {
          const list = items as ReadonlyArray<unknown>
          let text = "["
          for (let index = 0; index < list.length; index++) text += index === 0 ? item(list[index]) : `,${item(list[index])}`
          return `${text}]`
        }
      }
      case "map": {
        const item = field.mapKind === "scalar" ? scalar(field.scalar) : field.mapKind === "enum" ? enumeration(field.enum) : nested(field)
        return (entries) => {
          const map = entries as Members
          let text = "{"
          for (const key of Object.keys(map)) text += `${text.length === 1 ? "" : ","}${quote(key)}:${item(map[key])}`
          return `${text}}`
        }
      }
    }
  }

  const nested = (field: DescField): WriteValue => {
    const schema = field.message!
    if (isJson(field)) return struct
    // resolved on first use, for messages that hold themselves
    let write: ((message: Message) => string) | undefined
    return (value) => (write ??= message(schema))(value as Message)
  }

  const field = (field: DescField): ((message: Message) => string) => {
    const known = fields.get(field)
    if (known !== undefined) return known
    const compiled = compileField(field)
    fields.set(field, compiled)
    return compiled
  }

  const compileField = (field: DescField): ((message: Message) => string) => {
    if (!isPlain(field.parent)) {
      // through protobuf-es: a message with this field alone, then the value out of its document
      return (message) => {
        const alone = create(field.parent)
        const name = (field.oneof ?? field).localName
        ;(alone as unknown as Record<string, unknown>)[name] = (message as unknown as Members)[name]
        const document = JSON.parse(
          toJsonString(field.parent, alone, { ...options, alwaysEmitImplicit: true } as JsonWriteOptions)
        ) as Record<string, unknown>
        return JSON.stringify(document[field.jsonName] ?? unset(field))
      }
    }
    const write = value(field)
    const empty = JSON.stringify(unset(field))
    const name = field.localName
    const oneof = field.oneof?.localName
    return (message) => {
      const record = message as unknown as Members
      const choice = oneof === undefined ? undefined : (record[oneof] as { readonly case: string | undefined; readonly value?: unknown })
      const value = choice === undefined ? record[name] : choice.case === name ? choice.value : undefined
      return value === undefined ? empty : write(value)
    }
  }

  return { message, field }
}

/** What an unset field is as a document: an ordinary message has no fields, all else is nothing. */
const unset = (field: DescField): unknown => (field.fieldKind === "message" && !hasOwnForm(field.message) ? {} : null)

/** Wrappers in singular fields are held as their value. */
const isUnwrapped = (field: DescField): boolean =>
  field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(field.message)

/** Structs in fields are held as the JSON that they stand for. */
const isJson = (field: DescField): boolean =>
  field.message?.typeName === StructSchema.typeName && field.parent.typeName !== "google.protobuf.Value"

/** Through protobuf-es for its checks; how deep it may be is the sender's business. */
const struct: WriteValue = (value) => toJsonString(StructSchema, fromJson(StructSchema, value as JsonValue, { recursionLimit: 10_000 }))

const special = new Set(
  ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`)
)

/** Whether protobuf-JSON has a form of its own for a message. */
const hasOwnForm = (schema: DescMessage): boolean => special.has(schema.typeName) || isWrapperDesc(schema)

/** Whether a walk over the fields writes what protobuf-es would. */
const isPlain = (schema: DescMessage): boolean =>
  !hasOwnForm(schema) &&
  schema.fields.every(
    (field) =>
      // such keys come first in the object that protobuf-es fills
      !/^\d/.test(field.jsonName) &&
      // unset required fields are an error
      field.presence !== legacyRequired
  )

const isZero = (field: DescField, value: unknown): boolean => {
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

const wrong = (expected: string): TypeError => new TypeError(`expected ${expected}`)

const enumeration = (desc: DescEnum): WriteValue => {
  const isNull = desc.typeName === "google.protobuf.NullValue"
  const names = new Map(desc.values.map((value) => [value.number, JSON.stringify(value.jsonName)]))
  return (value) => {
    if (typeof value !== "number") throw wrong("the number of an enum value")
    return isNull ? "null" : (names.get(value) ?? numeral(value))
  }
}

const scalar = (type: ScalarType): WriteValue => {
  switch (type) {
    case ScalarType.STRING:
      return (value) => {
        if (typeof value !== "string") throw wrong("a string")
        return quote(value)
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
    case ScalarType.FLOAT:
      return (value) => {
        if (typeof value !== "number") throw wrong("a number")
        return Number.isFinite(value) ? `${value}` : `"${value}"`
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
        return typeof value === "string" ? quote(value) : `"${value as bigint | number}"`
      }
  }
}

const numeral = (value: number): string => (Number.isFinite(value) ? `${value}` : "null")

/** A string literal. Short text is usually clean, and looking is cheaper than the general case. */
const quote = (text: string): string => {
  if (text.length > 48) return JSON.stringify(text)
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 32 || code === 34 || code === 92 || (code >= 0xd800 && code <= 0xdfff)) return JSON.stringify(text)
  }
  return `"${text}"`
}
