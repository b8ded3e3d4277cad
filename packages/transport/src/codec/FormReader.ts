/**
 * Reads form pairs into messages, compiled from the descriptor (see `FormTable`), so that a plain `name=value` is one lookup. Keys may be `a`, `a.b`, `list`, `list[]`, `list[0]`, `map[key]`, `map.key`, and for lists and maps of messages `list[0].name` and
 * `map[key].name`; names are proto names or JSON names. Keys that lead to no field are skipped, as Kratos does.
 */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf"
import { BadText } from "./BadText.ts"
import { tables, without, type Entry, type Table } from "./FormTable.ts"
import * as QueryString from "./QueryString.ts"
import * as Text from "./Text.ts"

/** Most pairs of one form. */
const maxPairs = 10_000
/** Most steps of one key. */
const maxDepth = 100
/** Longest key that an error repeats. */
const maxKey = 80

/** Reads raw pairs into a message. Throws `BadText`, with the key in its message. */
export type FormReader = (message: Message, raw: string) => void

/** Sets one field, however deep, from text. Throws `BadText`. */
export type FieldSetter = (message: Message, text: string) => void

type Members = Record<string, unknown>

/**
 * Compiles a reader for `schema`. Fields in `except` (paths of proto names) are skipped with all below them, because something else binds
 * them.
 */
export const compile = (schema: DescMessage, except: ReadonlyArray<ReadonlyArray<string>> = []): FormReader => {
  const tableOf = tables()
  const root = except.length === 0 ? tableOf(schema) : without(schema, except, tableOf)
  return (message, raw) => {
    if (raw !== "") new Reading(root).all(message, raw)
  }
}

/** Compiles the setter of one field; undefined when there is no such field, or none that one text can hold. */
export const setter = (schema: DescMessage, path: ReadonlyArray<string>): FieldSetter | undefined => {
  const steps: Array<Entry> = []
  let table: Table | undefined = tables()(schema)
  for (const name of path) {
    const entry: Entry | undefined = table?.get(name)
    if (entry === undefined || entry.field.fieldKind === "list" || entry.field.fieldKind === "map") return undefined
    steps.push(entry)
    table = entry.table
  }
  const leaf = steps.pop()
  const parse = leaf?.parse
  if (leaf === undefined || parse === undefined) return undefined
  return (message, text) => {
    let target = message
    for (const step of steps) target = child(target, step)
    // a path may say again what the body said, but not the opposite
    put(target, leaf, parse(text), true)
  }
}

/** A message is a record of its members. */
const membersOf = (message: Message): Members => message as unknown as Members

/** The message in a singular field, made when there is none. */
const child = (message: Message, entry: Entry): Message => {
  const members = membersOf(message)
  if (entry.oneof === undefined) return (members[entry.local] ??= create(entry.field.message!)) as Message
  const choice = members[entry.oneof] as { readonly case: string | undefined; readonly value?: unknown }
  if (choice.case === entry.local) return choice.value as Message
  const value = create(entry.field.message!)
  put(message, entry, value, false)
  return value
}

const put = (message: Message, entry: Entry, value: unknown, again: boolean): void => {
  const members = membersOf(message)
  if (entry.oneof === undefined) members[entry.local] = value
  else {
    const choice = members[entry.oneof] as { readonly case: string | undefined }
    if (choice.case !== undefined && !(again && choice.case === entry.local))
      throw new BadText(`the oneof "${entry.field.oneof!.name}" is set twice`)
    members[entry.oneof] = { case: entry.local, value }
  }
}

const own = (object: object, key: string, value: unknown): void => {
  // assigning `__proto__` would change the prototype
  if (key === "__proto__") Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true })
  else (object as Members)[key] = value
}

const nameEnd = /[.[]/

/** One form on its way into one message. */
class Reading {
  private readonly root: Table
  private count = 0
  /** Singular fields of the root that were set, by index while it fits, and those of other messages. */
  private bits = 0
  private others: Map<Message, Set<number>> | undefined = undefined
  /** Items of lists of messages by the index in their key; they join their lists in the end. */
  private elements: Map<Array<unknown>, Map<number, unknown>> | undefined = undefined
  private message: Message | undefined = undefined

  constructor(root: Table) {
    this.root = root
  }

  all(message: Message, raw: string): void {
    this.message = message
    QueryString.each(raw, (key, value) => {
      if (++this.count > maxPairs) throw new BadText(`more than ${maxPairs} parameters`)
      this.pair(message, QueryString.decode(key), value)
    })
    // keys come sorted as text, where 10 precedes 2
    for (const [list, byIndex] of this.elements ?? []) {
      for (const [, element] of [...byIndex].toSorted(([a], [b]) => a - b)) list.push(element)
    }
  }

  private pair(message: Message, key: string, raw: string): void {
    try {
      const entry = this.root.get(key)
      if (entry !== undefined) this.value(message, entry, QueryString.decode(raw))
      else if (nameEnd.test(key)) this.walk(message, key, raw)
    } catch (error) {
      if (error instanceof BadText || error instanceof QueryString.BadEncoding)
        throw new BadText(`"${key.length > maxKey ? `${key.slice(0, maxKey)}…` : key}": ${error.message}`)
      throw error
    }
  }

  private walk(start: Message, key: string, raw: string): void {
    // messages on the way are made when the whole key is known to lead somewhere
    let message = () => start
    let table: Table | undefined = this.root
    let rest = key
    for (let depth = 0; ; depth++) {
      if (depth >= maxDepth) throw new BadText(`deeper than ${maxDepth} levels`)
      const end = rest.search(nameEnd)
      const entry: Entry | undefined = table?.get(end === -1 ? rest : rest.slice(0, end))
      if (entry === undefined) return
      rest = end === -1 ? "" : rest.slice(end)
      if (rest === "") return this.value(message(), entry, QueryString.decode(raw))
      const next = this.step(message, entry, rest, raw)
      if (next === undefined) return
      ;({ message, rest } = next)
      table = entry.table
    }
  }

  /** Follows what stands behind a name; undefined when that has set the value. */
  private step(
    message: () => Message,
    entry: Entry,
    rest: string,
    raw: string
  ): { readonly message: () => Message; readonly rest: string } | undefined {
    const { field, isStruct, local, parse, table } = entry
    if (field.fieldKind === "list") {
      const match = /^\[(\d{0,9})\](?:\.(.+))?$/s.exec(rest)
      if (match === null) throw new BadText("not a list index")
      const byIndex = () => this.byIndex(membersOf(message())[local] as Array<unknown>)
      const index = Number(match[1])
      const element = () => elementOf(byIndex(), index, field.message!)
      if (match[2] === undefined) {
        if (!entry.isIndexed || match[1] === "") return void this.value(message(), entry, QueryString.decode(raw))
        if (parse !== undefined) return void byIndex().set(index, parse(QueryString.decode(raw)))
        // an item that holds nothing
        if (raw === "") return void element()
        throw new BadText("is a message; name its fields")
      }
      if (table === undefined || match[1] === "") throw new BadText("its items have no fields")
      return { message: element, rest: match[2] }
    }
    if (field.fieldKind === "map") {
      const split = table === undefined ? whole(rest) : inner(rest)
      if (split === undefined) throw new BadText("not a map key")
      const key = entry.key!(split.key)
      const map = () => membersOf(message())[local] as Members
      if (split.rest === "") {
        if (parse === undefined && raw === "") return void entryOf(map(), key, field.message!)
        if (parse === undefined) throw new BadText("is a message; name its fields")
        return void own(map(), key, parse(QueryString.decode(raw)))
      }
      return { message: () => entryOf(map(), key, field.message!), rest: split.rest }
    }
    if (isStruct) {
      const split = whole(rest)
      if (split === undefined) throw new BadText("not a key")
      return void own(this.struct(message(), entry), split.key, QueryString.decode(raw))
    }
    if (Text.isUnwrapped(field) && rest === ".value") return void this.value(message(), entry, QueryString.decode(raw))
    if (table === undefined || rest[0] !== ".") throw new BadText("has no fields")
    return { message: () => child(message(), entry), rest: rest.slice(1) }
  }

  private value(message: Message, entry: Entry, text: string): void {
    const { parse } = entry
    if (entry.field.fieldKind === "map") throw new BadText("a map needs a key")
    // an input that nobody filled in
    if (text === "" && entry.field.fieldKind !== "list") return this.once(message, entry)
    if (parse === undefined) throw new BadText("is a message; name its fields")
    if (entry.field.fieldKind === "list") {
      ;(membersOf(message)[entry.local] as Array<unknown>).push(parse(text))
      return
    }
    this.once(message, entry)
    put(message, entry, parse(text), false)
  }

  /** A singular field has one value. */
  private once(message: Message, entry: Entry): void {
    if (message === this.message && entry.index < 31) {
      const bit = 1 << entry.index
      if ((this.bits & bit) !== 0) throw new BadText("has several values")
      this.bits |= bit
      return
    }
    this.others ??= new Map()
    let seen = this.others.get(message)
    if (seen === undefined) this.others.set(message, (seen = new Set()))
    if (seen.has(entry.index)) throw new BadText("has several values")
    seen.add(entry.index)
  }

  private byIndex(list: Array<unknown>): Map<number, unknown> {
    this.elements ??= new Map()
    let byIndex = this.elements.get(list)
    if (byIndex === undefined) this.elements.set(list, (byIndex = new Map()))
    return byIndex
  }

  private struct(message: Message, entry: Entry): object {
    const members = membersOf(message)
    const held = entry.oneof === undefined ? members[entry.local] : (members[entry.oneof] as { readonly value?: unknown }).value
    if (typeof held === "object" && held !== null) return held
    const made = {}
    put(message, entry, made, false)
    return made
  }
}

/** The message at an index of a list, made when there is none. */
const elementOf = (byIndex: Map<number, unknown>, index: number, schema: DescMessage): Message => {
  let element = byIndex.get(index)
  if (element === undefined) byIndex.set(index, (element = create(schema)))
  return element as Message
}

/** The message under a key of a map, made when there is none. */
const entryOf = (map: Members, key: string, schema: DescMessage): Message => {
  if (!Object.hasOwn(map, key)) own(map, key, create(schema))
  // not by index, which would give the prototype under `__proto__`
  return Object.getOwnPropertyDescriptor(map, key)!.value as Message
}

/** The key of a map whose values are scalars: all of what follows, so that a key may hold dots and brackets. */
const whole = (rest: string): { readonly key: string; readonly rest: string } | undefined => {
  if (rest[0] === ".") return { key: rest.slice(1), rest: "" }
  return rest.endsWith("]") ? { key: rest.slice(1, -1), rest: "" } : undefined
}

/** The key of a map whose values are messages, and the names behind it. */
const inner = (rest: string): { readonly key: string; readonly rest: string } | undefined => {
  const match = /^(?:\[([^\]]*)\]|\.([^.[]*))(?:\.(.+))?$/s.exec(rest)
  return match === null ? undefined : { key: match[1] ?? match[2]!, rest: match[3] ?? "" }
}
