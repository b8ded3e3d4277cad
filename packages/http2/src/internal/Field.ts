import * as Huffman from "./Huffman.ts"
import * as StaticTable from "./StaticTable.ts"

const TOKEN = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/
const OUTSIDE = /[\0\r\n]|^[ \t]|[ \t]$|[^\0-\u00ff]/

/** One outgoing field, with what does not depend on a connection worked out beforehand. Strings hold one octet a UTF-16 unit. */
export class Field {
  declare readonly name: string
  declare readonly value: string
  declare readonly sensitive: boolean
  /** Static table index of name and value, or 0. */
  declare readonly staticField: number
  /** Static table index of the name, or 0. */
  declare readonly staticName: number
  declare private encodedName: Uint8Array | undefined
  declare private encodedValue: Uint8Array | undefined

  private constructor(name: string, value: string, sensitive: boolean) {
    this.name = name
    this.value = value
    this.sensitive = sensitive
    const { byName, names, values } = StaticTable.table()
    let index = byName.get(name) ?? 0
    this.staticName = index
    while (index !== 0 && names[index] === name && values[index] !== value) index++
    this.staticField = index !== 0 && names[index] === name ? index : 0
    this.encodedName = undefined
    this.encodedValue = undefined
  }

  /** Undefined when the name is no token. */
  static make(rawName: string, rawValue: string, sensitive: ReadonlyArray<string> | undefined): Field | undefined {
    let name = rawName
    if (!TOKEN.test(name)) {
      name = rawName.toLowerCase()
      if (!TOKEN.test(name)) return undefined
    }
    const value = OUTSIDE.test(rawValue) ? repair(rawValue) : rawValue
    return new Field(name, value, sensitive !== undefined && sensitive.some((other) => other.toLowerCase() === name))
  }

  /** Size in a table, RFC 7541 section 4.1. */
  get size(): number {
    return this.name.length + this.value.length + 32
  }

  get key(): string {
    return StaticTable.keyOf(this.name, this.value)
  }

  /** The name as a string literal of HPACK. */
  get nameLiteral(): Uint8Array {
    return (this.encodedName ??= literal(this.name))
  }

  /** The value as a string literal of HPACK. */
  get valueLiteral(): Uint8Array {
    return (this.encodedValue ??= literal(this.value))
  }
}

const repair = (value: string): string => {
  const clean = value.replaceAll(/[\0\r\n]/g, " ").replaceAll(/^[ \t]+|[ \t]+$/g, "")
  return /[^\0-\u00ff]/.test(clean) ? Buffer.from(clean, "utf8").toString("latin1") : clean
}

/** Length octets and the shorter of plain and Huffman form. */
const literal = (text: string): Uint8Array => {
  const huffman = Huffman.encodedLength(text)
  const length = Math.min(huffman, text.length)
  const bytes = new Uint8Array(length + 6)
  let position = 0
  const flag = huffman < text.length ? 0x80 : 0
  if (length < 0x7f) {
    bytes[position++] = flag | length
  } else {
    bytes[position++] = flag | 0x7f
    let rest = length - 0x7f
    for (; rest >= 0x80; rest >>>= 7) bytes[position++] = rest | 0x80
    bytes[position++] = rest
  }
  if (flag !== 0) {
    position = Huffman.encode(text, bytes, position)
  } else {
    for (let i = 0; i < text.length; i++) bytes[position++] = text.charCodeAt(i)
  }
  return bytes.subarray(0, position)
}
