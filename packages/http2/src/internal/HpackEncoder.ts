import type { HeaderBlock } from "../HeaderBlock.ts"
import type { Field } from "./Field.ts"
import * as StaticTable from "./StaticTable.ts"

/** Blocks remembered per connection; above this the memory starts anew. */
const MAX_CACHED_BLOCKS = 512
/** When the table is full an entry may push out older ones once in so many blocks encoded, so that rotating fields cannot thrash it. */
const EVICT_EVERY = 64

interface Cached {
  readonly bytes: Uint8Array
  readonly version: number
}

/** Scratch space; encoding is synchronous, so all connections share it. */
let scratch = new Uint8Array(0)

/**
 * Encodes header blocks, RFC 7541. Fields of reusable blocks enter the dynamic table as long as there is room; once a block consists of indices, or of
 * literals that found no room, its bytes are kept until the table changes. A block must be encoded when it is sent, in the order of sending.
 */
export class HpackEncoder {
  /** Result of `encode`: the first so many bytes of this array, valid until the next call. */
  bytes: Uint8Array = scratch
  private version = 0
  private readonly cache = new Map<HeaderBlock, Cached>()
  /** Absolute numbers of entries by field and by name; the number of the newest entry is `inserted`. */
  private readonly byField = new Map<string, number>()
  private readonly byName = new Map<string, number>()
  private readonly entries: Array<Field> = []
  private inserted = 0
  private size = 0
  private maxSize = 4096
  private readonly limit: number
  /** Updates to announce at the start of the next block: the smallest size since the last one, then the current one. */
  private smallest = -1
  private blocks = 0
  private evictedAt = -EVICT_EVERY
  private position = 0

  /** `limit`: the most that we use of what the peer offers. */
  constructor(limit: number) {
    this.limit = limit
    if (limit < this.maxSize) this.resize(limit)
  }

  /** Bytes of the dynamic table in use, by the measure of RFC 7541 section 4.1. */
  get tableSize(): number {
    return this.size
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerLimit(size: number): void {
    const next = Math.min(size, this.limit)
    if (next !== this.maxSize) this.resize(next)
  }

  /** Returns the length of the encoded block, which lies in `bytes`. */
  encode(block: HeaderBlock): number {
    if (block.reuse && this.smallest < 0) {
      const cached = this.cache.get(block)
      if (cached !== undefined && cached.version === this.version) {
        this.bytes = cached.bytes
        return cached.bytes.length
      }
    }
    return block.base === undefined ? this.encodeAnew(block) : this.encodeExtended(block, block.base)
  }

  /** The bytes of the reusable part, then the fields of this message as literals. */
  private encodeExtended(block: HeaderBlock, base: HeaderBlock): number {
    const length = this.encode(base)
    this.position = 0
    this.reserve(length)
    if (this.bytes !== scratch) scratch.set(this.bytes, 0)
    this.position = length
    const { fields } = block
    for (let i = 0; i < fields.length; i++) this.field(fields[i]!, false)
    this.bytes = scratch
    return this.position
  }

  private encodeAnew(block: HeaderBlock): number {
    const { version } = this
    const isPlain = this.smallest < 0
    this.blocks++
    this.position = 0
    this.reserve(16)
    if (!isPlain) {
      if (this.smallest < this.maxSize) this.integer(0x20, 0x1f, this.smallest)
      this.integer(0x20, 0x1f, this.maxSize)
      this.smallest = -1
    }
    const { fields } = block
    for (let i = 0; i < fields.length; i++) this.field(fields[i]!, block.reuse)
    this.bytes = scratch
    if (block.reuse && isPlain && this.version === version) {
      if (this.cache.size >= MAX_CACHED_BLOCKS) this.cache.clear()
      this.cache.set(block, { bytes: scratch.slice(0, this.position), version })
    }
    return this.position
  }

  private field(field: Field, reuse: boolean): void {
    if (field.staticField !== 0 && !field.sensitive) {
      this.reserve(1)
      scratch[this.position++] = 0x80 | field.staticField
      return
    }
    if (reuse && !field.sensitive) {
      const number = this.byField.get(field.key)
      if (number !== undefined) {
        this.reserve(6)
        this.integer(0x80, 0x7f, this.inserted - number + StaticTable.SIZE + 1)
        return
      }
    }
    // A one-off block looks for names in the static table only: that costs no string.
    const named = reuse && field.staticName === 0 ? this.byName.get(field.name) : undefined
    const name = named === undefined ? field.staticName : this.inserted - named + StaticTable.SIZE + 1
    const indexing = reuse && !field.sensitive && this.makeRoom(field.size)
    this.reserve(6)
    if (field.sensitive) this.integer(0x10, 0x0f, name)
    else if (indexing) this.integer(0x40, 0x3f, name)
    else this.integer(0, 0x0f, name)
    if (reuse) {
      if (name === 0) this.append(field.nameLiteral)
      this.append(field.valueLiteral)
    } else {
      if (name === 0) this.plain(field.name)
      this.plain(field.value)
    }
    if (indexing) this.insert(field)
  }

  /** Whether an entry of this size may be added; pushes out old ones when that is allowed. */
  private makeRoom(size: number): boolean {
    if (this.size + size <= this.maxSize) return true
    // Half the table for one field would leave no room for the others.
    if (size > this.maxSize >>> 1 || this.blocks - this.evictedAt < EVICT_EVERY) return false
    this.evictedAt = this.blocks
    return true
  }

  private insert(field: Field): void {
    this.evict(this.maxSize - field.size)
    this.inserted++
    this.version++
    this.size += field.size
    this.entries.push(field)
    this.byField.set(field.key, this.inserted)
    this.byName.set(field.name, this.inserted)
  }

  private evict(limit: number): void {
    while (this.size > limit) {
      const number = this.inserted - this.entries.length + 1
      const field = this.entries.shift()!
      this.size -= field.size
      this.version++
      if (this.byField.get(field.key) === number) this.byField.delete(field.key)
      if (this.byName.get(field.name) === number) this.byName.delete(field.name)
    }
  }

  private resize(size: number): void {
    this.smallest = this.smallest < 0 ? size : Math.min(this.smallest, size)
    this.maxSize = size
    this.version++
    this.evict(size)
  }

  private integer(flags: number, mask: number, value: number): void {
    if (value < mask) {
      scratch[this.position++] = flags | value
      return
    }
    scratch[this.position++] = flags | mask
    let rest = value - mask
    for (; rest >= 0x80; rest >>>= 7) scratch[this.position++] = rest | 0x80
    scratch[this.position++] = rest
  }

  private append(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    scratch.set(bytes, this.position)
    this.position += bytes.length
  }

  /** A string literal without Huffman: a one-off value is not worth the time. */
  private plain(text: string): void {
    const { length } = text
    this.reserve(length + 6)
    this.integer(0, 0x7f, length)
    let position = this.position
    for (let i = 0; i < length; i++) scratch[position++] = text.charCodeAt(i)
    this.position = position
  }

  private reserve(bytes: number): void {
    if (this.position + bytes <= scratch.length) return
    const larger = new Uint8Array(Math.max(1024, scratch.length * 2, this.position + bytes))
    larger.set(scratch.subarray(0, this.position))
    scratch = larger
  }
}
