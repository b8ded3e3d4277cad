/**
 * A place in a JSON text (RFC 8259), from which values are read as what they are for. Nothing is built that nobody asks for: numbers stay the text that they
 * are until a field takes them, so that integers keep their digits. Halves of characters in escapes are an error, and so is nesting beyond the limit.
 */
import { BadText } from "./BadText.ts"

const QUOTE = 34
const COMMA = 44
const MINUS = 45
const COLON = 58
const BACKSLASH = 92
export const LIST = 91
export const OBJECT = 123
const LIST_END = 93
const OBJECT_END = 125

/** A number as RFC 8259 has it. */
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

export class JsonCursor {
  private readonly text: string
  private readonly maxDepth: number
  private at = 0
  private depth = 0

  constructor(text: string, maxDepth: number) {
    this.text = text
    this.maxDepth = maxDepth
  }

  /** The code of the character with which the next value or token begins; NaN at the end. */
  peek(): number {
    const { text } = this
    let code = text.charCodeAt(this.at)
    while (code <= 32 && (code === 32 || code === 10 || code === 13 || code === 9)) code = text.charCodeAt(++this.at)
    return code
  }

  isString(): boolean {
    return this.peek() === QUOTE
  }

  isNumber(): boolean {
    const code = this.peek()
    return code === MINUS || (code >= 48 && code <= 57)
  }

  /** Takes a null, if there is one. */
  takeNull(): boolean {
    return this.peek() === 110 && this.takeWord("null")
  }

  /** Takes a flag; undefined when there is none. */
  takeBoolean(): boolean | undefined {
    const code = this.peek()
    if (code === 116 && this.takeWord("true")) return true
    if (code === 102 && this.takeWord("false")) return false
    return undefined
  }

  private takeWord(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false
    this.at += word.length
    return true
  }

  /** Takes a string. */
  string(): string {
    if (this.peek() !== QUOTE) this.fail("a string")
    const { text } = this
    const from = ++this.at
    let at = from
    let code = text.charCodeAt(at)
    while (code !== QUOTE) {
      if (code === BACKSLASH) return this.escaped(from, at)
      if (!(code >= 32)) return this.fail("the rest of a string")
      code = text.charCodeAt(++at)
    }
    this.at = at + 1
    return text.slice(from, at)
  }

  /** The slow way, from the first backslash on. */
  private escaped(from: number, first: number): string {
    const { text } = this
    let at = first
    for (let code = text.charCodeAt(at); code !== QUOTE; code = text.charCodeAt(++at)) {
      if (code === BACKSLASH) at++
      else if (!(code >= 32)) this.fail("the rest of a string")
    }
    let value: string
    try {
      value = JSON.parse(text.slice(from - 1, at + 1)) as string
    } catch {
      return this.fail("an escape of JSON")
    }
    if (!value.isWellFormed()) throw new BadText("half a character in a string")
    this.at = at + 1
    return value
  }

  /** Takes a number, as text. */
  number(): string {
    if (!this.isNumber()) this.fail("a number")
    number.lastIndex = this.at
    if (!number.test(this.text)) this.fail("a number")
    const from = this.at
    this.at = number.lastIndex
    const next = this.text.charCodeAt(this.at)
    // a digit behind a leading zero, a point without digits, a word
    if ((next >= 48 && next <= 57) || next === 46 || next === 95 || ((next | 32) >= 97 && (next | 32) <= 122))
      this.fail("the end of a number")
    return this.text.slice(from, this.at)
  }

  /** Steps into an object or a list; whether there is anything in it. */
  open(bracket: typeof OBJECT | typeof LIST): boolean {
    if (this.peek() !== bracket) this.fail(bracket === OBJECT ? "an object" : "a list")
    if (++this.depth > this.maxDepth) throw new BadText(`nested deeper than ${this.maxDepth}`)
    this.at++
    if (this.peek() !== (bracket === OBJECT ? OBJECT_END : LIST_END)) return true
    this.at++
    this.depth--
    return false
  }

  /** Steps over a comma, or out of the object or list; whether there is more in it. */
  more(bracket: typeof OBJECT | typeof LIST): boolean {
    const code = this.peek()
    this.at++
    if (code === COMMA) return true
    if (code !== (bracket === OBJECT ? OBJECT_END : LIST_END)) {
      this.at--
      this.fail(bracket === OBJECT ? "a comma or }" : "a comma or ]")
    }
    this.depth--
    return false
  }

  /** Takes a key and its colon. */
  key(): string {
    if (this.peek() !== QUOTE) this.fail("a key")
    const key = this.string()
    if (this.peek() !== COLON) this.fail("a colon")
    this.at++
    return key
  }

  /** Steps over a value that nobody reads, which still has to be one. */
  skip(): void {
    const code = this.peek()
    switch (code) {
      case QUOTE:
        this.string()
        return
      case OBJECT:
        if (this.open(OBJECT)) {
          do {
            this.key()
            this.skip()
          } while (this.more(OBJECT))
        }
        return
      case LIST:
        if (this.open(LIST))
          do this.skip()
          while (this.more(LIST))
        return
      default:
        if (this.isNumber()) this.number()
        else if (!this.takeNull() && this.takeBoolean() === undefined) this.fail("a value")
    }
  }

  /** A place to come back to. */
  mark(): number {
    return this.at
  }

  reset(mark: number): void {
    this.at = mark
  }

  /** Nothing but white space may follow. */
  end(): void {
    if (!Number.isNaN(this.peek())) this.fail("the end")
  }

  fail(expected: string): never {
    throw BadText.expected(`${expected} at ${this.at}`)
  }
}
