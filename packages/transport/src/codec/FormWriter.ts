/**
 * Writes messages as form pairs, compiled from the descriptor: only fields that are set, JSON names, nested names joined by dots, sorted
 * by key. Everything Kratos reads is written as Kratos writes it; lists and maps of messages, which Kratos drops, become `list[0].name` and
 * `map[key].name`.
 */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf"
import { reflect } from "@bufbuild/protobuf/reflect"
import * as QueryString from "./QueryString.ts"
import * as Text from "./Text.ts"

/** Throws when a value cannot be written. `except` are keys to leave out, with all below them: JSON names, joined by dots (`book.name`). */
export type FormWriter = (message: Message, except?: ReadonlySet<string>) => string

type Pairs = Array<readonly [key: string, value: string]>
type Members = Readonly<Record<string, unknown>>
type Write = (value: unknown, key: string, pairs: Pairs) => void
type WriteMessage = (message: Message, prefix: string, pairs: Pairs) => void

/** Deepest message that is written; deeper ones hold themselves. */
const maxDepth = 100

export const make = (): ((schema: DescMessage) => FormWriter) => {
  const writers = new WeakMap<DescMessage, WriteMessage>()
  let depth = 0
  let except: ReadonlySet<string> | undefined

  const message = (schema: DescMessage): WriteMessage => {
    const known = writers.get(schema)
    if (known !== undefined) return known
    const fields = schema.fields.map((field) => ({ field, write: value(field) }))
    const write: WriteMessage = (message, prefix, pairs) => {
      if (++depth > maxDepth) throw new RangeError(`deeper than ${maxDepth} levels`)
      const view = reflect(schema, message, false)
      // a message is a record of its members
      const members = message as unknown as Members
      for (const { field, write } of fields) {
        if (except?.has(prefix + field.jsonName) || !view.isSet(field)) continue
        const held =
          field.oneof === undefined ? members[field.localName] : (members[field.oneof.localName] as { readonly value?: unknown }).value
        write(held, prefix + field.jsonName, pairs)
      }
      depth--
    }
    writers.set(schema, write)
    return write
  }

  const value = (field: DescField): Write => {
    const one = single(field)
    // a message that holds nothing still has its place in a list or a map
    const entry: Write = (item, key, pairs) => {
      const before = pairs.length
      one(item, key, pairs)
      if (pairs.length === before) pairs.push([key, ""])
    }
    switch (field.fieldKind) {
      case "list": {
        const isText = Text.formatter(field) !== undefined
        return (items, key, pairs) => {
          for (const [index, item] of (items as ReadonlyArray<unknown>).entries()) entry(item, isText ? key : `${key}[${index}]`, pairs)
        }
      }
      case "map": {
        return (entries, key, pairs) => {
          for (const [name, item] of Object.entries(entries as Members)) {
            // nobody could tell where such a key ends
            if (field.message !== undefined && name.includes("]")) throw new RangeError("the key of a message holds a bracket")
            entry(item, `${key}[${name}]`, pairs)
          }
        }
      }
      default:
        return one
    }
  }

  const single = (field: DescField): Write => {
    const format = Text.formatter(field)
    if (format !== undefined) return (value, key, pairs) => void pairs.push([key, format(value)])
    const schema = field.message!
    if (schema.typeName === "google.protobuf.Struct" && field.parent.typeName !== "google.protobuf.Value") {
      return (value, key, pairs) => void pairs.push([key, JSON.stringify(value)])
    }
    let write: WriteMessage | undefined
    const nested: Write = (value, key, pairs) => (write ??= message(schema))(value as Message, `${key}.`, pairs)
    if (schema.typeName !== "google.protobuf.Value") return nested
    return (value, key, pairs) => {
      const { kind } = value as { readonly kind: { readonly case: string | undefined; readonly value?: unknown } }
      if (kind.case === "stringValue") pairs.push([key, kind.value as string])
      else nested(value, key, pairs)
    }
  }

  return (schema) => {
    const write = message(schema)
    return (message, leaveOut) => {
      const pairs: Pairs = []
      depth = 0
      except = leaveOut
      write(message, "", pairs)
      return QueryString.format(pairs)
    }
  }
}
