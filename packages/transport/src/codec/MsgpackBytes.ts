/**
 * MessagePack (msgpack.org, "specification") between bytes and trees. Nothing is allocated by a length that the input only claims: every item takes a byte
 * of it. Values of extension types are skipped over and count as nothing.
 */
import { Buffer } from "node:buffer"
import { BadText } from "./BadText.ts"
import { type Entry, Float, isEntries, type Key, Plain, type Tree } from "./GoTree.ts"
import * as Utf8 from "./Utf8.ts"

/** Writes a tree; integers and lengths take as few bytes as they need. */
export const write = (tree: Tree): Uint8Array => {
  const parts: Array<Uint8Array> = []
  put(tree, parts)
  return Buffer.concat(parts)
}

const put = (tree: Tree, parts: Array<Uint8Array>): void => {
  if (tree === null) parts.push(Uint8Array.of(0xc0))
  else if (typeof tree === "boolean") parts.push(Uint8Array.of(tree ? 0xc3 : 0xc2))
  else if (typeof tree === "number" || typeof tree === "bigint") parts.push(integer(BigInt(tree)))
  else if (typeof tree === "string") {
    const text = Utf8.encode(tree)
    parts.push(text.length < 32 ? Uint8Array.of(0xa0 | text.length) : head(0xd9, text.length, true), text)
  } else if (tree instanceof Float) parts.push(float(tree))
  else if (tree instanceof Uint8Array) parts.push(head(0xc4, tree.length, true), tree)
  else if (tree instanceof Plain) throw new TypeError("expected a value")
  else if (isEntries(tree)) {
    parts.push(tree.entries.length < 16 ? Uint8Array.of(0x80 | tree.entries.length) : head(0xde, tree.entries.length, false))
    for (const [key, value] of tree.entries) {
      put(key, parts)
      put(value, parts)
    }
  } else {
    parts.push(tree.length < 16 ? Uint8Array.of(0x90 | tree.length) : head(0xdc, tree.length, false))
    for (const item of tree) put(item, parts)
  }
}

/** A type and a length of 8, 16 or 32 bits, whose types follow each other. */
const head = (type: number, length: number, bytes: boolean): Uint8Array => {
  if (bytes && length < 0x100) return Uint8Array.of(type, length)
  const wide = bytes ? type + 1 : type
  if (length < 0x10000) return Uint8Array.of(wide, length >> 8, length)
  return Uint8Array.of(wide + 1, length >>> 24, length >> 16, length >> 8, length)
}

const integer = (value: bigint): Uint8Array => {
  if (value >= -32n && value < 128n) return Uint8Array.of(Number(value & 0xffn))
  const positive = value >= 0n
  for (let size = 0; size < 4; size++) {
    const bits = 8 << size
    if (positive ? BigInt.asUintN(bits, value) !== value : BigInt.asIntN(bits, value) !== value) continue
    const bytes = new Uint8Array(1 + bits / 8)
    bytes[0] = (positive ? 0xcc : 0xd0) + size
    for (let at = bytes.length - 1, rest = value; at > 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn)
    return bytes
  }
  throw new RangeError("expected an integer of 64 bits")
}

const float = ({ single, value }: Float): Uint8Array => {
  const bytes = Buffer.alloc(single ? 5 : 9)
  bytes[0] = single ? 0xca : 0xcb
  if (single) bytes.writeFloatBE(value, 1)
  else bytes.writeDoubleBE(value, 1)
  return bytes
}

/** Reads one value of at most `maxDepth` levels. Throws `BadText`. */
export const parse = (bytes: Uint8Array, maxDepth: number): Tree => {
  const reader = new Reader(bytes, maxDepth)
  const tree = reader.value(0)
  reader.end()
  return tree
}

class Reader {
  private readonly bytes: Buffer
  private readonly maxDepth: number
  private at = 0

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.maxDepth = maxDepth
  }

  end(): void {
    if (this.at < this.bytes.length) throw BadText.expected("one value")
  }

  value(depth: number): Tree {
    if (depth > this.maxDepth) throw new BadText(`nested deeper than ${this.maxDepth}`)
    const type = this.bytes[this.skip(1)]!
    if (type < 0x80) return type
    if (type < 0x90) return this.map(type & 0x0f, depth)
    if (type < 0xa0) return this.list(type & 0x0f, depth)
    if (type < 0xc0) return this.text(type & 0x1f)
    if (type >= 0xe0) return type - 0x100
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.take(this.length(type - 0xc4))
      case 0xc7:
      case 0xc8:
      case 0xc9:
        this.skip(this.length(type - 0xc7) + 1)
        return null
      case 0xca:
        return new Float(this.bytes.readFloatBE(this.skip(4)), true)
      case 0xcb:
        return new Float(this.bytes.readDoubleBE(this.skip(8)), false)
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.length(type - 0xcc)
      case 0xcf:
        return this.bytes.readBigUInt64BE(this.skip(8))
      case 0xd0:
        return this.bytes.readInt8(this.skip(1))
      case 0xd1:
        return this.bytes.readInt16BE(this.skip(2))
      case 0xd2:
        return this.bytes.readInt32BE(this.skip(4))
      case 0xd3:
        return this.bytes.readBigInt64BE(this.skip(8))
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        this.skip((1 << (type - 0xd4)) + 1)
        return null
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.length(type - 0xd9))
      case 0xdc:
      case 0xdd:
        return this.list(this.length(type - 0xdb), depth)
      case 0xde:
      case 0xdf:
        return this.map(this.length(type - 0xdd), depth)
      default:
        throw BadText.expected("a type of MessagePack")
    }
  }

  private list(length: number, depth: number): ReadonlyArray<Tree> {
    const items: Array<Tree> = []
    for (let count = 0; count < length; count++) items.push(this.value(depth + 1))
    return items
  }

  private map(length: number, depth: number): Tree {
    const entries: Array<Entry> = []
    for (let count = 0; count < length; count++) entries.push([this.key(depth), this.value(depth + 1)])
    return { entries }
  }

  private key(depth: number): Key {
    const key = this.value(depth + 1)
    if (typeof key === "string" || typeof key === "number" || typeof key === "bigint" || typeof key === "boolean") return key
    throw BadText.expected("a key that is text, a number or a flag")
  }

  private text(length: number): string {
    return Utf8.decodeText(this.take(length))
  }

  private take(length: number): Uint8Array {
    const from = this.skip(length)
    return this.bytes.subarray(from, from + length)
  }

  /** An unsigned integer of 1, 2 or 4 bytes. */
  private length(size: number): number {
    return this.bytes.readUIntBE(this.skip(1 << size), 1 << size)
  }

  /** Moves on; the place where it was. */
  private skip(length: number): number {
    const from = this.at
    if (length > this.bytes.length - from) throw BadText.expected("more bytes")
    this.at += length
    return from
  }
}
