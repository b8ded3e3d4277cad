/**
 * Trees of values (see `GoTree`) into messages. `strict` reads what Go's standard JSON does: proto names in any case, numbers for numbers. Otherwise names
 * may be Go's, proto's or those of JSON, and a value may have Go's form or that of protobuf-JSON: enums by name, timestamps as text, wrappers bare.
 * Unknown fields are skipped; a field that is there twice is an error, and so is a tree that is deeper or larger than the input can account for.
 */
import { create, fromJson, ScalarType, type DescField, type DescMessage, type JsonValue, type Message } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import { isWrapperDesc } from "@bufbuild/protobuf/wkt"
import { Buffer } from "node:buffer"
import { BadText } from "./BadText.ts"
import * as GoStruct from "./GoStruct.ts"
import { Float, isEntries, jsonTypes, Plain, type Key, type Tree } from "./GoTree.ts"
import * as Text from "./Text.ts"

export interface Rules {
  readonly strict: boolean
  /** What text is for a field of bytes. */
  readonly bytes: "base64" | "raw"
  /** One item may stand for a list of one, and maps are lists of keys and values: XML. */
  readonly repeats: boolean
}

/** What does not fit the message. The text names the field and says what was expected. */
export class Misfit extends Error {}

/** Nesting ends here. */
export const maxDepth = 100

/** Reads a message; `budget` is how many values there may be. Throws `Misfit`. */
export const message = (schema: DescMessage, tree: Tree, rules: Rules, budget: number): Message => {
  const view = reflect(schema, create(schema))
  new Reader(rules, budget).into(view, tree)
  return view.message
}

/** Reads one field's value into a message. Throws `Misfit`. */
export const field = (field: DescField, target: Message, tree: Tree, rules: Rules, budget: number): void => {
  const view = reflect(field.parent, target)
  view.clear(field)
  new Reader(rules, budget).set(view, field, tree)
}

class Reader {
  private readonly rules: Rules
  private budget: number
  private readonly path: Array<string> = []

  constructor(rules: Rules, budget: number) {
    this.rules = rules
    this.budget = budget
  }

  into(view: ReflectMessage, tree: Tree): void {
    const { desc } = view
    if (tree === null) return
    if (jsonTypes.has(desc.typeName) && !(this.isGoForm(desc, tree) || this.rules.repeats)) return this.json(view, tree)
    if (!isEntries(tree)) {
      if (this.rules.repeats && tree instanceof Plain && tree.text.trim() === "") return
      return this.shorthand(view, tree)
    }
    this.count()
    const names = namesOf(desc, this.rules.strict)
    const seen = new Set<DescField | GoStruct.Choice>()
    for (const [key, value] of tree.entries) {
      const target = lookUp(names, String(key), this.rules.strict)
      if (target === undefined) {
        this.skip(value)
        continue
      }
      this.path.push(String(key).slice(0, 64))
      if (seen.has(target)) this.fail("it is there twice")
      seen.add(target)
      if (target.kind === "field") this.set(view, target, value)
      else this.choose(view, target, value)
      this.path.pop()
    }
  }

  set(view: ReflectMessage, field: DescField, tree: Tree): void {
    if (tree === null) return
    if (field.oneof !== undefined && view.oneofCase(field.oneof) !== undefined) this.fail(`another member of ${field.oneof.name} is set`)
    // the setters' types depend on the kind of field
    if (field.fieldKind === "list") {
      const list = view.get(field)
      for (const item of this.items(field, tree)) list.add(this.value(field, item) as never)
    } else if (field.fieldKind === "map") {
      const map = view.get(field)
      const parse = Text.keyParser(field.mapKey)
      for (const [key, item] of this.pairs(tree)) {
        const text = this.attempt(() => parse(key instanceof Plain ? key.text : String(key)))
        map.set(mapKey(field.mapKey, text) as never, this.value(field, item) as never)
      }
    } else {
      const value = this.value(field, tree)
      // an empty slice is what Go has for no bytes, too
      const isEmpty = !this.rules.strict && value instanceof Uint8Array && value.length === 0
      const isNothing = isEmpty && field.presence !== implicit && field.oneof === undefined
      if (!isNothing) view.set(field, value as never)
    }
  }

  private items(field: DescField, tree: Tree): ReadonlyArray<Tree> {
    if (Array.isArray(tree)) return tree as ReadonlyArray<Tree>
    if (this.rules.repeats) return [tree]
    if (tree instanceof Uint8Array && field.scalar !== ScalarType.BYTES) return [...tree]
    return this.fail("expected a list")
  }

  private pairs(tree: Tree): ReadonlyArray<readonly [Key | Plain, Tree]> {
    if (!this.rules.repeats) return isEntries(tree) ? tree.entries : this.fail("expected a map")
    return (Array.isArray(tree) ? (tree as ReadonlyArray<Tree>) : [tree]).map((pair) => {
      const part = (name: string): Tree =>
        isEntries(pair)
          ? (pair.entries.find(([key]) => String(key).toLowerCase() === name)?.[1] ?? null)
          : this.fail("expected a key and a value")
      const key = part("key")
      return [key === null ? "" : key instanceof Plain ? key : this.fail("expected a key"), part("value")] as const
    })
  }

  private choose(view: ReflectMessage, choice: GoStruct.Choice, tree: Tree): void {
    if (tree === null) return
    if (!isEntries(tree)) {
      if (this.rules.repeats && tree instanceof Plain && tree.text.trim() === "") return
      this.fail("expected the member that is set")
    }
    for (const [key, value] of tree.entries) {
      const member = choice.members.find(
        ({ field, goName }) => sameName(String(key), goName) || (!this.rules.strict && names(field).has(String(key)))
      )
      if (member === undefined) continue
      if (value === null) view.set(member.field, zero(member.field) as never)
      else this.set(view, member.field, value)
    }
  }

  /** One value of a field, in the form that reflection takes. */
  private value(field: DescField, tree: Tree): unknown {
    this.count()
    if (field.message !== undefined) {
      if (this.path.length > maxDepth) this.fail(`nested deeper than ${maxDepth}`)
      const view = reflect(field.message, create(field.message))
      this.into(view, tree)
      // a value without a kind is none that anybody may write
      if (field.message.typeName === "google.protobuf.Value" && view.oneofCase(field.message.oneofs[0]!) === undefined)
        this.json(view, null)
      return view
    }
    if (tree === null || (this.rules.repeats && isBlank(field, tree))) return zero(field)
    if (field.enum !== undefined) return this.enumeration(field, tree)
    return this.scalar(field, field.scalar!, tree)
  }

  private enumeration(field: DescField, tree: Tree): number {
    const text = this.text(tree)
    const isName = text !== undefined && !/^\s*[+-]?\d/.test(text)
    const number = isName ? this.attempt(() => Text.parser(field)!(text)) : Number(this.integer(tree))
    if (typeof number !== "number" || (number | 0) !== number) return this.fail("expected the number of an enum value")
    if (!field.enum!.open && field.enum!.value[number] === undefined) return this.fail("expected the number of an enum value")
    return number
  }

  private scalar(field: DescField, type: ScalarType, tree: Tree): unknown {
    switch (type) {
      case ScalarType.STRING:
        if (tree instanceof Plain) return tree.text
        return typeof tree === "string" ? tree : this.fail("expected a string")
      case ScalarType.BOOL:
        return typeof tree === "boolean" ? tree : this.bool(tree)
      case ScalarType.BYTES:
        return this.bytes(tree)
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.float(type === ScalarType.FLOAT, tree)
      default: {
        if (Object.is(tree, -0) && this.rules.strict && isUnsigned(type)) return this.fail("expected an unsigned integer")
        const integer = String(this.integer(tree))
        return this.attempt(() => {
          const value = Text.scalarParser(type)(integer)
          return "longAsString" in field && field.longAsString ? BigInt(value as bigint) : value
        })
      }
    }
  }

  private bool(tree: Tree): unknown {
    const text = this.text(tree)
    if (text === undefined) return this.fail("expected bool")
    // as YAML 1.1 had it, and Go still reads it
    if (tree instanceof Plain && /^(?:y|yes|on)$/i.test(text)) return true
    if (tree instanceof Plain && /^(?:n|no|off)$/i.test(text)) return false
    return this.attempt(() => Text.scalarParser(ScalarType.BOOL)(text.trim()))
  }

  private integer(tree: Tree): number | bigint | string {
    if (typeof tree === "number" || typeof tree === "bigint") return tree === 0 ? 0 : tree
    if (tree instanceof Float && !this.rules.strict && Number.isSafeInteger(tree.value)) return tree.value === 0 ? 0 : tree.value
    const text = this.text(tree)?.trim()
    if (text === undefined) return this.fail("expected an integer")
    return /^0[xob][\da-f]{1,16}$/i.test(text) ? BigInt(text.toLowerCase()) : text
  }

  private float(single: boolean, tree: Tree): number {
    const text = this.text(tree)
    let number: number
    if (typeof tree === "number") number = tree
    else if (typeof tree === "bigint") number = Number(tree)
    else if (tree instanceof Float) number = tree.value
    else if (text === undefined) return this.fail("expected a number")
    else number = this.attempt(() => Text.scalarParser(ScalarType.DOUBLE)(text.trim().replace(/^([+-]?)\.(inf|nan)$/i, "$1$2"))) as number
    if (this.rules.strict && !Number.isFinite(number)) return this.fail("expected double")
    if (!single) return number
    const rounded = Math.fround(number)
    return Number.isFinite(number) && !Number.isFinite(rounded) ? this.fail("expected float") : rounded
  }

  private bytes(tree: Tree): Uint8Array {
    if (tree instanceof Uint8Array) return new Uint8Array(tree)
    if (Array.isArray(tree)) {
      return Uint8Array.from(tree as ReadonlyArray<Tree>, (item) => {
        this.count()
        const byte = item === null && this.rules.strict ? 0 : Number(this.integer(item))
        return byte >= 0 && byte <= 255 && Number.isInteger(byte) ? byte : this.fail("expected bytes")
      })
    }
    const text = tree instanceof Plain ? tree.text : typeof tree === "string" ? tree : this.fail("expected bytes")
    if (this.rules.bytes === "raw") return new Uint8Array(Buffer.from(text, "utf8"))
    if (this.rules.strict && !/^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=)?$/.test(text))
      return this.fail("expected base64")
    return this.attempt(() => Text.scalarParser(ScalarType.BYTES)(text)) as Uint8Array
  }

  /** A message that is not written with its fields. */
  private shorthand(view: ReflectMessage, tree: Tree): void {
    const text = this.text(tree)
    if (this.rules.strict) this.fail("expected an object")
    if (isWrapperDesc(view.desc)) return this.set(view, view.desc.fields[0]!, tree)
    const parse = text === undefined ? undefined : Text.wellKnownParser(view.desc)
    if (text === undefined || parse === undefined) this.fail("expected a message")
    Object.assign(
      view.message,
      this.attempt(() => parse(text))
    )
  }

  private isGoForm(desc: DescMessage, tree: Tree): boolean {
    if (this.rules.strict || !isEntries(tree) || tree.entries.length !== 1) return false
    const [key, value] = tree.entries[0]!
    const name = String(key).toLowerCase()
    switch (desc.typeName) {
      case "google.protobuf.Struct":
        return name === "fields" && isEntries(value) && value.entries.every(([, item]) => this.isGoForm(desc.fields[0]!.message!, item))
      case "google.protobuf.ListValue":
        return name === "values" && (Array.isArray(value) || value === null)
      default:
        if (name !== "kind") return false
        return (
          value === null ||
          (isEntries(value) &&
            value.entries.length === 1 &&
            /^(?:null|number|string|bool|struct|list)_?value$/i.test(String(value.entries[0]![0])))
        )
    }
  }

  private json(view: ReflectMessage, tree: Tree): void {
    const json = this.toJson(tree, this.path.length)
    this.attempt(() => Object.assign(view.message, fromJson(view.desc, json, { recursionLimit: maxDepth })))
  }

  private toJson(tree: Tree, depth: number): JsonValue {
    this.count()
    if (depth > maxDepth) return this.fail(`nested deeper than ${maxDepth}`)
    if (tree === null || typeof tree === "boolean" || typeof tree === "number" || typeof tree === "string") return tree
    if (typeof tree === "bigint") return Number(tree)
    if (tree instanceof Float) return Number.isFinite(tree.value) ? tree.value : this.fail("expected a number of JSON")
    if (tree instanceof Plain) return plainJson(tree.text)
    if (tree instanceof Uint8Array) return Buffer.from(tree).toString("base64")
    if (Array.isArray(tree)) return (tree as ReadonlyArray<Tree>).map((item) => this.toJson(item, depth + 1))
    if (!isEntries(tree)) return this.fail("expected a value")
    return Object.fromEntries(tree.entries.map(([key, value]) => [String(key), this.toJson(value, depth + 1)]))
  }

  /** Text that may stand for a value. */
  private text(tree: Tree): string | undefined {
    return tree instanceof Plain ? tree.text : typeof tree === "string" && !this.rules.strict ? tree : undefined
  }

  /** What nobody reads counts too. */
  private skip(tree: Tree): void {
    const rest: Array<Tree> = [tree]
    for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
      this.count()
      if (Array.isArray(next)) for (const item of next as ReadonlyArray<Tree>) rest.push(item)
      else if (isEntries(next)) for (const [, item] of next.entries) rest.push(item)
    }
  }

  private count(): void {
    if (--this.budget < 0) this.fail("more values than the input has room for")
  }

  private attempt<A>(parse: () => A): A {
    try {
      return parse()
    } catch (error) {
      if (error instanceof BadText) return this.fail(error.message)
      if (error instanceof TypeError || error instanceof Misfit) throw error
      return this.fail("expected another value")
    }
  }

  private fail(what: string): never {
    throw new Misfit(this.path.length === 0 ? what : `${this.path.slice(-5).join(".")}: ${what}`)
  }
}

type Names = ReadonlyMap<string, DescField | GoStruct.Choice | undefined>

const strictNames = new WeakMap<DescMessage, Names>()
const looseNames = new WeakMap<DescMessage, Names>()

const namesOf = (schema: DescMessage, strict: boolean): Names => {
  const known = strict ? strictNames : looseNames
  let names = known.get(schema)
  if (names === undefined) known.set(schema, (names = strict ? strictTable(schema) : looseTable(schema)))
  return names
}

/** The names in tags of Go's structs, in lower case. A oneof has no tag, its members are in it. */
const strictTable = (schema: DescMessage): Names =>
  new Map(
    GoStruct.of(schema).members.map((member): readonly [string, DescField | GoStruct.Choice] =>
      GoStruct.isChoice(member) ? [member.goName.toLowerCase(), member] : [member.field.name.toLowerCase(), member.field]
    )
  )

const looseTable = (schema: DescMessage): Names => {
  const exact = new Map<string, DescField | GoStruct.Choice | undefined>()
  const loose = new Map<string, DescField | GoStruct.Choice | undefined>()
  const add = (names: Iterable<string>, target: DescField | GoStruct.Choice): void => {
    for (const name of names) {
      exact.set(name, target)
      const plain = plainName(name)
      // a name that could be either of two is neither
      loose.set(plain, loose.has(plain) && loose.get(plain) !== target ? undefined : target)
    }
  }
  for (const member of GoStruct.of(schema).members) {
    if (!GoStruct.isChoice(member)) add([member.goName, ...names(member.field)], member.field)
    else {
      // as members of the message, too: that is where protobuf-JSON has them
      for (const { field } of member.members) add(names(field), field)
      if (!loose.has(plainName(member.goName))) add([member.goName, member.oneof.name], member)
    }
  }
  return new Map([...loose, ...exact])
}

const names = (field: DescField): Set<string> => new Set([field.name, field.jsonName, field.localName])

const plainName = (name: string): string => name.replaceAll(/[_-]/g, "").toLowerCase()

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

const lookUp = (names: Names, key: string, strict: boolean) =>
  strict ? names.get(key.toLowerCase()) : (names.get(key) ?? names.get(plainName(key)))

/** An element without text stands for zero. */
const isBlank = (field: DescField, tree: Tree): boolean =>
  tree instanceof Plain && field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES && tree.text.trim() === ""

const implicit = 2

const isUnsigned = (type: ScalarType): boolean =>
  type === ScalarType.UINT32 || type === ScalarType.UINT64 || type === ScalarType.FIXED32 || type === ScalarType.FIXED64

const zero = (field: DescField): unknown => {
  if (field.message !== undefined) return reflect(field.message, create(field.message))
  if (field.enum !== undefined) return field.enum.values[0]!.number
  switch (field.scalar!) {
    case ScalarType.STRING:
      return ""
    case ScalarType.BOOL:
      return false
    case ScalarType.BYTES:
      return new Uint8Array(0)
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 0n
    default:
      return 0
  }
}

const mapKey = (type: ScalarType, text: string): unknown => {
  switch (type) {
    case ScalarType.STRING:
      return text
    case ScalarType.BOOL:
      return text === "true"
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return Number(text)
    default:
      return BigInt(text)
  }
}

const plainJson = (text: string): JsonValue => {
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === "true"
  const number = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  return Number.isFinite(number) ? number : text
}
