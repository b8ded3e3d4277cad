/**
 * JSON between text and trees, for dialects that `JSON` itself cannot do: integers keep all their digits, a key that is there twice is an error, nesting
 * has a limit, and what HTML would see as markup is escaped, as Go's standard library does.
 */
import { BadText } from "./BadText.ts"
import * as FloatText from "./FloatText.ts"
import { type Entry, Float, isEntries, type Tree } from "./GoTree.ts"

/** Writes a tree. Throws for numbers that JSON does not have. */
export const write = (tree: Tree): string => {
  if (tree === null) return "null"
  if (typeof tree === "string") return quote(tree)
  if (typeof tree === "boolean" || typeof tree === "bigint" || typeof tree === "number") return String(tree)
  if (tree instanceof Float) {
    if (!Number.isFinite(tree.value)) throw new RangeError("JSON has no such number")
    return FloatText.json(tree.value, tree.single)
  }
  if (Array.isArray(tree)) return `[${(tree as ReadonlyArray<Tree>).map(write).join(",")}]`
  if (!isEntries(tree)) throw new TypeError("expected a value of JSON")
  // maps come in the order of their keys in Go
  return `{${tree.entries.map(([key, value]) => `${quote(String(key))}:${write(value)}`).join(",")}}`
}

const escapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029"
}

const quote = (text: string): string => JSON.stringify(text).replaceAll(/[<>&\u2028\u2029]/g, (character) => escapes[character]!)

/** Reads one document of at most `maxDepth` levels. Throws `BadText`. */
export const parse = (text: string, maxDepth: number): Tree => {
  const reader = new Reader(text, maxDepth)
  const tree = reader.value(0)
  reader.end()
  return tree
}

const space = /[ \t\n\r]*/y
const number = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
/** Up to the first character that ends a string or needs a second look. */
// oxlint-disable-next-line no-control-regex -- control characters may not stand in strings
const clean = /[^"\\\u0000-\u001f]*/y
// oxlint-disable-next-line no-control-regex -- as above
const escaped = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y
const word = /true|false|null/y

class Reader {
  private readonly text: string
  private readonly maxDepth: number
  private at = 0

  constructor(text: string, maxDepth: number) {
    this.text = text
    this.maxDepth = maxDepth
  }

  value(depth: number): Tree {
    this.take(space)
    switch (this.text[this.at]) {
      case "{":
        return { entries: this.members(depth + 1) }
      case "[":
        return this.items(depth + 1)
      case '"':
        return this.string()
      case "t":
      case "f":
      case "n":
        return this.literal()
      default:
        return this.number()
    }
  }

  end(): void {
    this.take(space)
    if (this.at < this.text.length) this.fail("the end")
  }

  private members(depth: number): ReadonlyArray<Entry> {
    const entries: Array<Entry> = []
    const seen = new Set<string>()
    this.open(depth)
    if (this.closes("}")) return entries
    do {
      this.take(space)
      if (this.text[this.at] !== '"') this.fail("a key")
      const key = this.string()
      if (seen.has(key)) throw new BadText("a key is there twice")
      seen.add(key)
      this.take(space)
      if (this.text[this.at++] !== ":") this.fail("a colon")
      entries.push([key, this.value(depth)])
    } while (this.continues("}"))
    return entries
  }

  private items(depth: number): ReadonlyArray<Tree> {
    const items: Array<Tree> = []
    this.open(depth)
    if (this.closes("]")) return items
    do items.push(this.value(depth))
    while (this.continues("]"))
    return items
  }

  private open(depth: number): void {
    this.at++
    if (depth > this.maxDepth) throw new BadText(`nested deeper than ${this.maxDepth}`)
  }

  private closes(end: string): boolean {
    this.take(space)
    if (this.text[this.at] !== end) return false
    this.at++
    return true
  }

  private continues(end: string): boolean {
    this.take(space)
    const next = this.text[this.at++]
    if (next !== "," && next !== end) this.fail(`a comma or ${end}`)
    return next === ","
  }

  private string(): string {
    const from = this.at++
    this.take(clean)
    if (this.text[this.at] === '"') return this.text.slice(from + 1, this.at++)
    this.take(escaped)
    if (this.text[this.at] !== '"') this.fail("the rest of a string")
    return (JSON.parse(this.text.slice(from, ++this.at)) as string).toWellFormed()
  }

  private number(): Tree {
    const match = this.take(number)
    if (match === null) return this.fail("a value")
    const [source, fraction, exponent] = match
    const value = Number(source)
    // what is out of range is a matter of the field that it is for
    if (fraction !== undefined || exponent !== undefined || source.length > 40) return new Float(value, false)
    return Number.isSafeInteger(value) ? value : BigInt(source)
  }

  private literal(): Tree {
    const match = this.take(word)
    if (match === null) return this.fail("a value")
    return match[0] === "null" ? null : match[0] === "true"
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match !== null) this.at = pattern.lastIndex
    return match
  }

  private fail(expected: string): never {
    throw BadText.expected(`${expected} at ${this.at}`)
  }
}
