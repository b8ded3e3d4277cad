/**
 * Writes protobuf-JSON as text, compiled once per message type from its descriptor, without a tree of objects in between. Numbers are written as Go's
 * protojson writes them: a `float` as its own shortest decimal, zero with its sign. Field masks are left to protobuf-es.
 */
import type { DescField, DescMessage, JsonValue, Message, Registry } from "@bufbuild/protobuf"
import { isWrapperDesc } from "@bufbuild/protobuf/wkt"
import * as JsonScalarWriter from "./JsonScalarWriter.ts"
import * as JsonSpecialWriter from "./JsonSpecialWriter.ts"
import * as JsonString from "./JsonString.ts"
import * as StructText from "./StructText.ts"

export interface Options {
  /** Of what holds nothing, which is written: scalars, enums, lists and maps (`implicit`), and unset messages as null besides (`all`), or nothing. */
  readonly unset: "none" | "implicit" | "all"
  /** `user_id` rather than `userId`. */
  readonly protoNames?: boolean | undefined
  /** Enum values as numbers rather than names. */
  readonly enumNumbers?: boolean | undefined
  /** What `google.protobuf.Any` may hold, for each message type that is written. */
  readonly registryOf?: ((schema: DescMessage) => Registry) | undefined
}

/** Writers throw when a value does not have the type of its field. */
export interface JsonWriter {
  readonly message: (schema: DescMessage) => (message: Message) => string
  /** The value of one field as a document of its own; `null` for one that is unset, `{}` for an unset message. */
  readonly field: (field: DescField) => (message: Message) => string
}

type Members = Readonly<Record<string, unknown>>
type WriteValue = JsonScalarWriter.WriteValue
/** Appends the field with its name, if it is to be written. */
type WriteField = (message: Members, text: string) => string

/** From `FeatureSet.FieldPresence`: no way to tell unset from zero. */
const implicit = 2
const legacyRequired = 3

export const make = (options: Options): JsonWriter => {
  const { protoNames = false, enumNumbers = false, registryOf } = options
  const emitImplicit = options.unset !== "none"
  const writers = new WeakMap<DescMessage, (message: Message) => string>()
  const fields = new WeakMap<DescField, (message: Message) => string>()

  const message = (schema: DescMessage): ((message: Message) => string) => writers.get(schema) ?? compile(schema)

  const compile = (schema: DescMessage): ((message: Message) => string) => {
    const { typeName } = schema
    const special = JsonSpecialWriter.of(schema, () => registryOf?.(schema), message)
    if (special !== undefined) {
      const write = (message: Message): string => {
        if (message.$typeName !== typeName) throw new TypeError(`expected a message ${typeName}`)
        return special(message)
      }
      writers.set(schema, write)
      return write
    }
    const members: Array<WriteField> = []
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
    const key = JSON.stringify(protoNames ? field.name : field.jsonName)
    const first = `${key}:`
    const later = `,${key}:`
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
      return (message, text) => ((message[name] as ReadonlyArray<unknown>).length > 0 || emitImplicit ? append(text, message[name]) : text)
    }
    if (field.fieldKind === "map") {
      return (message, text) => (emitImplicit || Object.keys(message[name] as object).length > 0 ? append(text, message[name]) : text)
    }
    if (field.presence === legacyRequired) {
      return (message, text) => {
        if (message[name] === undefined || !Object.hasOwn(message, name)) throw JsonScalarWriter.wrong(`the required field ${field.name}`)
        return append(text, message[name])
      }
    }
    if (field.presence !== implicit) {
      const [firstNull, laterNull] = [`${first}null`, `${later}null`]
      const emitNull = options.unset === "all" && saysNull(field)
      return (message, text) => {
        if (message[name] !== undefined && Object.hasOwn(message, name)) return append(text, message[name])
        return emitNull ? text + (text.length === 1 ? firstNull : laterNull) : text
      }
    }
    if (emitImplicit) return (message, text) => append(text, message[name])
    return (message, text) => (JsonScalarWriter.isZero(field, message[name]) ? text : append(text, message[name]))
  }

  const value = (field: DescField): WriteValue => {
    switch (field.fieldKind) {
      case "scalar":
        return JsonScalarWriter.scalar(field.scalar)
      case "enum":
        return JsonScalarWriter.enumeration(field.enum, enumNumbers)
      case "message":
        return isUnwrapped(field) ? JsonScalarWriter.scalar(field.message.fields[0]!.scalar!) : nested(field)
      case "list": {
        const item =
          field.listKind === "scalar"
            ? JsonScalarWriter.scalar(field.scalar)
            : field.listKind === "enum"
              ? JsonScalarWriter.enumeration(field.enum, enumNumbers)
              : nested(field)
        return (items) => {
          const list = items as ReadonlyArray<unknown>
          let text = "["
          for (let index = 0; index < list.length; index++) text += index === 0 ? item(list[index]) : `,${item(list[index])}`
          return `${text}]`
        }
      }
      case "map": {
        const item =
          field.mapKind === "scalar"
            ? JsonScalarWriter.scalar(field.scalar)
            : field.mapKind === "enum"
              ? JsonScalarWriter.enumeration(field.enum, enumNumbers)
              : nested(field)
        return (entries) => {
          const map = entries as Members
          let text = "{"
          for (const key of Object.keys(map)) text += `${text.length === 1 ? "" : ","}${JsonString.quote(key)}:${item(map[key])}`
          return `${text}}`
        }
      }
    }
  }

  const nested = (field: DescField): WriteValue => {
    const schema = field.message!
    if (isJson(field)) return (value) => StructText.ofJson(value as JsonValue)
    // resolved on first use, for messages that hold themselves
    let write: ((message: Message) => string) | undefined
    // what an Any may hold is a matter of the message around it
    if (schema.typeName === "google.protobuf.Any") write = JsonSpecialWriter.of(schema, () => registryOf?.(field.parent), message)
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

/**
 * Whether a field is null in a document when it is unset and `unset` is `all`. An `optional` of proto3 is a oneof to Go, which says nothing of those, and of
 * a Value null would be a value.
 */
export const saysNull = (field: DescField): boolean =>
  (field.fieldKind === "message" || field.fieldKind === "scalar" || field.fieldKind === "enum") &&
  field.oneof === undefined &&
  field.presence !== implicit &&
  field.presence !== legacyRequired &&
  !field.proto.proto3Optional &&
  field.message?.typeName !== "google.protobuf.Value"

/** What an unset field is as a document: an ordinary message has no fields, all else is nothing. */
const unset = (field: DescField): unknown => (field.fieldKind === "message" && !JsonSpecialWriter.hasOwnForm(field.message) ? {} : null)

/** Wrappers in singular fields are held as their value. */
const isUnwrapped = (field: DescField): boolean =>
  field.fieldKind === "message" && field.oneof === undefined && isWrapperDesc(field.message)

/** Structs in fields are held as the JSON that they stand for. */
const isJson = (field: DescField): boolean =>
  field.message?.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value"
