/**
 * Reads protobuf-JSON into messages, compiled once per message type from its descriptor, in one pass over the text. It takes what Go's protojson takes:
 * both names of a field, numbers in quotes, null for unset; a field that is there twice is an error, unknown ones are skipped when asked to.
 */
import { create, type DescField, type DescMessage, type Message, type Registry } from "@bufbuild/protobuf"
import { isWrapperDesc } from "@bufbuild/protobuf/wkt"
import { BadText } from "./BadText.ts"
import { JsonCursor, LIST, OBJECT } from "./JsonCursor.ts"
import * as JsonScalar from "./JsonScalar.ts"
import * as JsonSpecial from "./JsonSpecial.ts"

export interface Options {
  /** Skips fields and names of enum values that the contract does not have. */
  readonly ignoreUnknown: boolean
  /** Nesting ends here. */
  readonly maxDepth: number
  /** What `google.protobuf.Any` may hold, for each message type that is read. */
  readonly registryOf: (schema: DescMessage) => Registry
}

/** Readers throw `BadText`, which names the field. */
export interface JsonReader {
  /** Reads a document into a new message. */
  readonly message: <D extends DescMessage>(schema: D, text: string) => Message
  /** Reads the value of one field, a document of its own, into a new message. */
  readonly field: (field: DescField, text: string) => Message
}

/** Reads an object's members, or whatever the type's form is, into a message. */
export type ReadMessage = (cursor: JsonCursor, message: Message, isAny: boolean) => void

type Members = Record<string, unknown>

interface Entry {
  readonly field: DescField
  readonly index: number
  readonly oneof: string | undefined
  /** Whether null is a value. */
  readonly takesNull: boolean
  readonly read: JsonScalar.Read
}

export const make = ({ ignoreUnknown, maxDepth, registryOf }: Options): JsonReader => {
  const readers = new WeakMap<DescMessage, ReadMessage>()

  const reader = (schema: DescMessage): ReadMessage => readers.get(schema) ?? compile(schema)

  const compile = (schema: DescMessage): ReadMessage => {
    const special = JsonSpecial.reader(schema, { ignoreUnknown, registry: () => registryOf(schema), reader })
    if (special !== undefined) {
      readers.set(schema, special)
      return special
    }
    const entries = new Map<string, Entry>()
    const read: ReadMessage = (cursor, message, isAny) => {
      if (!cursor.open(OBJECT)) return
      let bits = 0
      let others: Set<number> | undefined
      do {
        const key = cursor.key()
        const entry = entries.get(key)
        if (entry === undefined) {
          if (!ignoreUnknown && !(isAny && key === "@type")) throw new BadText(`unknown field "${key.slice(0, 64)}"`)
          cursor.skip()
          continue
        }
        const { index } = entry
        if (index < 31) {
          if ((bits & (1 << index)) !== 0) throw twice(entry)
          bits |= 1 << index
        } else {
          others ??= new Set()
          if (others.has(index)) throw twice(entry)
          others.add(index)
        }
        set(entry, cursor, message)
      } while (cursor.more(OBJECT))
    }
    // before the fields, for messages that hold themselves
    readers.set(schema, read)
    schema.fields.forEach((field, index) => {
      const entry = compileField(field, index)
      entries.set(field.name, entry).set(field.jsonName, entry)
    })
    return read
  }

  const compileField = (field: DescField, index: number): Entry => ({
    field,
    index,
    oneof: field.oneof?.localName,
    takesNull:
      field.fieldKind !== "list" &&
      field.fieldKind !== "map" &&
      (field.message?.typeName === "google.protobuf.Value" || field.enum?.typeName === "google.protobuf.NullValue"),
    read: field.fieldKind === "list" ? list(value(field)) : field.fieldKind === "map" ? map(field, value(field)) : value(field)
  })

  /** One value of a field, in the form in which messages hold it. */
  const value = (field: DescField): JsonScalar.Read => {
    if (field.enum !== undefined) return JsonScalar.enumeration(field.enum, ignoreUnknown)
    if (field.message === undefined) return JsonScalar.ofField(field)
    const schema = field.message
    if (JsonSpecial.isPlainStruct(field)) return JsonSpecial.jsonObject
    if (isWrapperDesc(schema)) {
      const inner = JsonScalar.ofField(schema.fields[0]!)
      return field.fieldKind === "message" && field.oneof === undefined
        ? inner
        : (cursor) => Object.assign(create(schema), { value: inner(cursor) })
    }
    let read: ReadMessage | undefined
    // what an Any may hold is a matter of the message around it
    if (JsonSpecial.isAny(schema)) read = JsonSpecial.reader(schema, { ignoreUnknown, registry: () => registryOf(field.parent), reader })
    return (cursor) => {
      const made = create(schema)
      // resolved on first use, for messages that hold themselves
      ;(read ??= reader(schema))(cursor, made, false)
      return made
    }
  }

  const alone = new WeakMap<DescField, Entry>()

  const field = (field: DescField, text: string): Message => {
    let entry = alone.get(field)
    if (entry === undefined) alone.set(field, (entry = compileField(field, 0)))
    const message = create(field.parent)
    const cursor = new JsonCursor(text, maxDepth)
    set(entry, cursor, message)
    cursor.end()
    return message
  }

  return {
    message: (schema, text) => {
      const message = create(schema as DescMessage)
      const cursor = new JsonCursor(text, maxDepth)
      reader(schema)(cursor, message, false)
      cursor.end()
      return message
    },
    field
  }
}

const set = ({ field, oneof, read, takesNull }: Entry, cursor: JsonCursor, message: Message): void => {
  try {
    if (!takesNull && cursor.takeNull()) return
    // a message is a record of its members
    const members = message as unknown as Members
    if (oneof !== undefined && (members[oneof] as { readonly case: string | undefined }).case !== undefined)
      throw new BadText(`another member of ${field.oneof!.name} is set`)
    const value = read(cursor)
    if (value === JsonScalar.unknown) return
    if (oneof === undefined) members[field.localName] = value
    else members[oneof] = { case: field.localName, value }
  } catch (error) {
    throw error instanceof BadText ? Named.under(field.name, error) : error
  }
}

const twice = ({ field }: Entry): BadText => new BadText(`${field.name}: it is there twice`)

/** An error of a field; those around it put their names before it. */
class Named extends BadText {
  private readonly path: ReadonlyArray<string>
  private readonly what: string
  private constructor(path: ReadonlyArray<string>, what: string) {
    super(`${path.slice(0, 5).join(".")}: ${what}`)
    this.path = path
    this.what = what
  }
  static under(name: string, error: BadText): BadText {
    return error instanceof Named ? new Named([name, ...error.path.slice(0, 4)], error.what) : new Named([name], error.message)
  }
}

const list =
  (read: JsonScalar.Read): JsonScalar.Read =>
  (cursor) => {
    const items: Array<unknown> = []
    if (!cursor.open(LIST)) return items
    do {
      const item = read(cursor)
      if (item !== JsonScalar.unknown) items.push(item)
    } while (cursor.more(LIST))
    return items
  }

const map = (field: DescField & { readonly fieldKind: "map" }, read: JsonScalar.Read): JsonScalar.Read => {
  const keyOf = JsonScalar.mapKey(field.mapKey)
  return (cursor) => {
    const entries: Members = {}
    if (!cursor.open(OBJECT)) return entries
    do {
      const key = keyOf(cursor.key())
      if (Object.hasOwn(entries, key)) throw new BadText("a key is there twice")
      const value = read(cursor)
      if (value !== JsonScalar.unknown) JsonSpecial.own(entries, key, value)
    } while (cursor.more(OBJECT))
    return entries
  }
}
