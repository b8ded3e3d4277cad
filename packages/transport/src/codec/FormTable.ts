/**
 * Names of fields, as form keys use them: one table per message type, made when it is first needed, with proto names and JSON names.
 */
import { fromJson, toJson, type DescField, type DescMessage, type JsonObject, type JsonValue } from "@bufbuild/protobuf"
import { StructSchema } from "@bufbuild/protobuf/wkt"
import { BadText } from "./BadText.ts"
import * as Text from "./Text.ts"

/** What a name of a message leads to. */
export class Entry {
  readonly field: DescField
  /** Of the field among those of its message. */
  readonly index: number
  /** Name of the property that holds it. */
  readonly local: string
  readonly oneof: string | undefined
  readonly parse: Text.Parse | undefined
  readonly key: ((text: string) => string) | undefined
  readonly isStruct: boolean
  /** In lists of messages without a text form, the index says which pairs belong together; elsewhere it says nothing. */
  readonly isIndexed: boolean
  private readonly next: () => Table

  constructor(field: DescField, index: number, next: (schema: DescMessage) => Table) {
    this.field = field
    this.index = index
    this.local = field.localName
    this.oneof = field.oneof?.localName
    this.isStruct = field.message?.typeName === StructSchema.typeName && field.parent.typeName !== "google.protobuf.Value"
    this.parse = this.isStruct ? parseStruct : Text.parser(field)
    this.isIndexed = field.message !== undefined && !this.isStruct && Text.formatter(field) === undefined
    this.key = field.fieldKind === "map" ? Text.keyParser(field.mapKey) : undefined
    this.next = () => next(field.message!)
  }

  /** The names below; undefined for fields whose values have no names of their own. */
  get table(): Table | undefined {
    return this.field.message === undefined || this.isStruct || Text.isUnwrapped(this.field) ? undefined : this.next()
  }
}

export interface Table extends ReadonlyMap<string, Entry> {}

/** The tables of all message types that a reader meets. */
export const tables = (): ((schema: DescMessage) => Table) => {
  const known = new Map<DescMessage, Table>()
  const tableOf = (schema: DescMessage): Table => {
    let table = known.get(schema)
    if (table === undefined) {
      table = names(schema, (field, index) => new Entry(field, index, tableOf))
      known.set(schema, table)
    }
    return table
  }
  return tableOf
}

const names = (schema: DescMessage, entry: (field: DescField, index: number) => Entry | undefined): Table => {
  const table = new Map<string, Entry>()
  const entries = schema.fields.map(entry)
  // a proto name wins over the JSON name of another field
  for (const found of entries) if (found !== undefined) table.set(found.field.jsonName, found)
  for (const found of entries) if (found !== undefined) table.set(found.field.name, found)
  return table
}

/** The table of `schema` without some fields, given as paths of proto names, and all below them. */
export const without = (
  schema: DescMessage,
  except: ReadonlyArray<ReadonlyArray<string>>,
  tableOf: (schema: DescMessage) => Table
): Table =>
  names(schema, (field, index) => {
    const here = except.filter((path) => path[0] === field.name)
    if (here.some((path) => path.length === 1)) return undefined
    const below = here.map((path) => path.slice(1))
    let table: Table | undefined
    return new Entry(field, index, below.length === 0 ? tableOf : (next) => (table ??= without(next, below, tableOf)))
  })

const parseStruct = (text: string): JsonObject => {
  let json: JsonValue
  try {
    json = JSON.parse(text) as JsonValue
    // for its checks: an object, not too deep, no number beyond what a double holds
    toJson(StructSchema, fromJson(StructSchema, json))
  } catch {
    throw BadText.expected("a JSON object")
  }
  return json as JsonObject
}
