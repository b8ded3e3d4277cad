/**
 * The part of XML 1.0 that holds data: elements and their text. Attributes, comments and processing instructions are skipped, prefixes of names dropped.
 * A document type is refused, and with it every entity but the five of XML itself: nothing expands, nothing is fetched.
 */
import { BadText } from "./BadText.ts"
import * as FloatText from "./FloatText.ts"
import { type Entry, Float, isEntries, Plain, type Tree } from "./GoTree.ts"

/** Writes a tree as the element `name`: lists repeat it, null leaves it out. */
export const write = (name: string, tree: Tree): string => {
  if (tree === null) return ""
  if (Array.isArray(tree)) return (tree as ReadonlyArray<Tree>).map((item) => write(name, item)).join("")
  if (isEntries(tree)) return `<${name}>${tree.entries.map(([key, value]) => write(String(key), value)).join("")}</${name}>`
  return `<${name}>${escape(textOf(tree))}</${name}>`
}

const textOf = (tree: Tree): string => {
  if (tree instanceof Float) return FloatText.go(tree.value, tree.single)
  return String(tree)
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
  "\t": "&#x9;",
  "\n": "&#xA;",
  "\r": "&#xD;"
}

// oxlint-disable-next-line no-control-regex -- these are what XML cannot hold
const unholdable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/

/** Whether XML has a place for a text. */
export const holds = (text: string): boolean => !unholdable.test(text)

/** A character that XML cannot hold becomes U+FFFD, as with Go. */
const escape = (text: string): string =>
  text.replaceAll(/[&<>"'\t\n\r]/g, (character) => escapes[character]!).replaceAll(new RegExp(unholdable, "g"), "\ufffd")

/** The content of the root element, whatever its name, of at most `maxDepth` levels. Throws `BadText`. */
export const parse = (text: string, maxDepth: number): Tree => new Parser(text, maxDepth).document()

const name = /[\p{L}_:][\p{L}\p{N}\p{M}_:.\-\u00b7]*/uy
const attribute = /[ \t\r\n]+[^\s=<>/"']+[ \t\r\n]*=[ \t\r\n]*(?:"[^"<]*"|'[^'<]*')/y
const space = /[ \t\r\n]*/y

interface Open {
  readonly name: string
  readonly children: Map<string, Array<Tree>>
  text: string
}

class Parser {
  private readonly text: string
  private readonly maxDepth: number
  private at = 0

  constructor(text: string, maxDepth: number) {
    this.text = text
    this.maxDepth = maxDepth
  }

  document(): Tree {
    const open: Array<Open> = []
    let root: Tree | undefined
    while (this.at < this.text.length) {
      const bracket = this.text.indexOf("<", this.at)
      const text = this.text.slice(this.at, bracket < 0 ? undefined : bracket)
      const innermost = open.at(-1)
      if (innermost !== undefined) innermost.text += this.unescape(text)
      else if (text.trim() !== "") throw BadText.expected(`nothing outside of the root element at ${this.at}`)
      if (bracket < 0) break
      this.at = bracket
      if (this.skips("<!--", "-->") || this.skips("<?", "?>")) continue
      if (this.text.startsWith("<![CDATA[", this.at)) {
        if (innermost === undefined) throw BadText.expected("an element")
        innermost.text += this.until("<![CDATA[", "]]>")
      } else if (this.text.startsWith("<!", this.at)) throw BadText.expected("no document type")
      else if (this.text[this.at + 1] === "/") {
        this.at += 2
        const closed = open.pop()
        if (closed === undefined || this.take(name) !== closed.name)
          throw BadText.expected(`the end of <${closed?.name.slice(0, 64) ?? ""}>`)
        this.take(space)
        this.literally(">")
        root = this.close(closed, open)
      } else {
        if (root !== undefined && innermost === undefined) throw BadText.expected("one root element")
        this.at += 1
        const tag = this.take(name)
        if (tag === undefined) throw BadText.expected(`a name at ${this.at}`)
        while (this.take(attribute) !== undefined);
        this.take(space)
        const element: Open = { name: tag, children: new Map(), text: "" }
        if (this.text[this.at] === "/") {
          this.at += 1
          this.literally(">")
          root = this.close(element, open)
        } else {
          this.literally(">")
          if (open.push(element) > this.maxDepth) throw new BadText(`nested deeper than ${this.maxDepth}`)
        }
      }
    }
    if (root === undefined || open.length > 0) throw BadText.expected("the end of the root element")
    return root
  }

  /** Hands an element to the one around it. */
  private close(element: Open, open: ReadonlyArray<Open>): Tree {
    const tree = content(element)
    const parent = open.at(-1)
    if (parent === undefined) return tree
    const local = element.name.slice(element.name.indexOf(":") + 1)
    const same = parent.children.get(local)
    if (same === undefined) parent.children.set(local, [tree])
    else same.push(tree)
    return tree
  }

  private skips(start: string, end: string): boolean {
    if (!this.text.startsWith(start, this.at)) return false
    this.until(start, end)
    return true
  }

  private until(start: string, end: string): string {
    const from = this.at + start.length
    const to = this.text.indexOf(end, from)
    if (to < 0) throw BadText.expected(end)
    this.at = to + end.length
    return this.text.slice(from, to)
  }

  private unescape(text: string): string {
    this.at += text.length
    const lines = text.includes("\r") ? text.replaceAll(/\r\n?/g, "\n") : text
    return lines.includes("&") ? lines.replaceAll(/&([^;&]{0,32};?)/g, (_, reference: string) => resolve(reference)) : lines
  }

  private literally(character: string): void {
    if (this.text[this.at] !== character) throw BadText.expected(`${character} at ${this.at}`)
    this.at += 1
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return match[0]
  }
}

const content = ({ children, text }: Open): Tree => {
  if (children.size === 0) return new Plain(text)
  const entries: Array<Entry> = []
  for (const [key, values] of children) entries.push([key, values.length === 1 ? values[0]! : values])
  return { entries }
}

const entities: Readonly<Record<string, string>> = { "lt;": "<", "gt;": ">", "amp;": "&", "quot;": '"', "apos;": "'" }

const resolve = (reference: string): string => {
  const number = /^#(?:x([\da-f]{1,6})|(\d{1,7}));$/i.exec(reference)
  const code = number === null ? Number.NaN : Number.parseInt(number[1] ?? number[2]!, number[1] === undefined ? 10 : 16)
  const character = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : undefined
  const found = character ?? (Object.hasOwn(entities, reference) ? entities[reference] : undefined)
  if (found === undefined || !holds(found)) throw BadText.expected("a reference to a character that XML has")
  return found
}
