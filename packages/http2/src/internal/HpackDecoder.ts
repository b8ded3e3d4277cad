import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Headers } from "../Headers.ts"
import * as BlockCache from "./BlockCache.ts"
import { DynamicTable } from "./DynamicTable.ts"
import * as FieldKind from "./FieldKind.ts"
import { HeaderList } from "./HeaderList.ts"
import * as Huffman from "./Huffman.ts"
import * as StaticTable from "./StaticTable.ts"

// Kinds of an instruction; the flags of its name and value are or-ed in.
const INDEXED = 0
const INDEXING = 1
const LITERAL = 2
const RESIZE = 3
const KIND = 3
const NAME_IS_BAD = 4
const VALUE_IS_BAD = 8
const STRIDE = 4

/** Longer texts are not shared with table entries: a substring keeps the whole text alive. */
const MAX_SHARED_TEXT = 1024

/** Scratch space of a decoding in progress. Decoding is synchronous and never nested, so all connections share it; it grows with the largest block. */
const scratch = { instructions: new Int32Array(0), text: Buffer.alloc(0) }

const failure = (message: string): ConnectionError => new ConnectionError(ErrorCode.COMPRESSION_ERROR, message)

/**
 * Decodes header blocks, RFC 7541. A block is read in two passes: the first checks the syntax and collects the octets of all literals in one buffer,
 * the second resolves indices and cuts the literals out of one string; so a block costs one call out of JavaScript, whatever it holds.
 */
export class HpackDecoder {
  readonly table: DynamicTable
  private readonly cache = new BlockCache.BlockCache()
  private readonly list: HeaderList
  private readonly maxFields: number
  private readonly huffman = Huffman.tables()
  /** Largest table size that the peer may choose. */
  private limit: number
  /** The limit fell below the size in use: the next block must begin with an update, section 4.2. */
  private mustResize = false
  private changing = false
  // The cursor of the first pass.
  private position = 0
  private flags = 0

  constructor(tableSize: number, maxHeaderListSize: number) {
    this.limit = Math.max(4096, tableSize)
    this.table = new DynamicTable(4096)
    this.list = new HeaderList(maxHeaderListSize)
    this.maxFields = (maxHeaderListSize >>> 5) + 16
  }

  /** Bytes of the table by the measure of RFC 7541 and of the blocks remembered. */
  get heldBytes(): number {
    return this.table.size + this.cache.heldBytes
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE has been acknowledged. */
  setLimit(limit: number): void {
    this.limit = limit
    if (this.table.maxSize > limit) this.mustResize = true
  }

  /** Throws a `ConnectionError` when the block is not HPACK. */
  decode(source: Uint8Array, start: number, end: number): Headers {
    const version = this.table.version
    const cacheable = end - start <= BlockCache.MAX_LENGTH && !this.mustResize && !this.changing && this.cache.isPromising
    if (cacheable) {
      const found = this.cache.find(source, start, end, version)
      if (found !== undefined) return found
    }
    const headers = this.resolve(this.scan(source, start, end))
    // Where every block changes the table there is nothing to remember.
    this.changing = this.table.version !== version
    if (cacheable && !this.changing) this.cache.offer(source, start, end, version, headers)
    return headers
  }

  /** First pass. Returns the number of instructions. */
  private scan(source: Uint8Array, start: number, end: number): number {
    const room = (end - start) * 2 + 2
    if (scratch.text.length < room) scratch.text = Buffer.allocUnsafeSlow(Math.max(1024, room))
    let count = 0
    let resizes = 0
    let text = 0
    this.position = start
    while (this.position < end) {
      if ((count + 1) * STRIDE > scratch.instructions.length) grow()
      const octet = source[this.position++]!
      let kind = INDEXED
      let index: number
      let nameEnd = text
      if (octet >= 0x80) {
        index = this.integer(source, end, octet & 0x7f, 0x7f)
        if (index === 0) throw failure("index 0")
      } else if (octet >= 0x20 && octet < 0x40) {
        if (count > resizes) throw failure("table size update after a field")
        kind = RESIZE
        index = this.integer(source, end, octet & 0x1f, 0x1f)
        resizes++
      } else {
        if (octet >= 0x40) {
          kind = INDEXING
          index = this.integer(source, end, octet & 0x3f, 0x3f)
        } else {
          kind = LITERAL
          index = this.integer(source, end, octet & 0x0f, 0x0f)
        }
        if (index === 0) {
          nameEnd = this.string(source, end, text)
          if ((this.flags & Huffman.BAD_NAME) !== 0) kind |= NAME_IS_BAD
        }
        text = this.string(source, end, nameEnd)
        if ((this.flags & Huffman.BAD_VALUE) !== 0) kind |= VALUE_IS_BAD
      }
      const at = count++ * STRIDE
      const instructions = scratch.instructions
      instructions[at] = kind
      instructions[at + 1] = index
      instructions[at + 2] = nameEnd
      instructions[at + 3] = text
      if (count > this.maxFields) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many fields in a header block")
    }
    if (this.mustResize && resizes === 0) throw failure("table size update missing")
    return count
  }

  /** Second pass. */
  private resolve(count: number): Headers {
    const { instructions } = scratch
    const { list, table } = this
    const length = count === 0 ? 0 : instructions[(count - 1) * STRIDE + 3]!
    const text = length === 0 ? "" : latin1(0, length)
    let position = 0
    for (let at = 0; at < count * STRIDE; at += STRIDE) {
      const instruction = instructions[at]!
      const index = instructions[at + 1]!
      const nameEnd = instructions[at + 2]!
      const valueEnd = instructions[at + 3]!
      if (instruction === RESIZE) {
        if (index > this.limit) throw failure("table size above the limit")
        this.mustResize = false
        table.resize(index)
        continue
      }
      if (index > StaticTable.SIZE && !table.has(index)) throw failure(`index ${index} is not in the table`)
      if (instruction === INDEXED) {
        list.add(table.kind(index), table.name(index), table.value(index))
        continue
      }
      const whole = (instruction & KIND) === INDEXING && length > MAX_SHARED_TEXT
      const name = index !== 0 ? table.name(index) : whole ? latin1(position, nameEnd) : text.substring(position, nameEnd)
      const value = whole ? latin1(nameEnd, valueEnd) : text.substring(nameEnd, valueEnd)
      let kind = index !== 0 ? table.kind(index) & FieldKind.NAME : FieldKind.ofName(name, (instruction & NAME_IS_BAD) !== 0)
      if ((instruction & VALUE_IS_BAD) !== 0) kind |= FieldKind.BAD_VALUE
      position = valueEnd
      if ((instruction & KIND) === INDEXING) table.insert(name, value, kind)
      list.add(kind, name, value)
    }
    return list.finish()
  }

  /** An integer with a prefix of which `first` are the bits and `mask` the largest value, section 5.1. */
  private integer(source: Uint8Array, end: number, first: number, mask: number): number {
    if (first < mask) return first
    let value = first
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.position >= end) throw failure("integer cut short")
      const octet = source[this.position++]!
      value += (octet & 0x7f) << shift
      if (octet < 0x80) return value
    }
    throw failure("integer too large")
  }

  /** A string literal, section 5.2: its octets go to the scratch text at `target`, `flags` says what is wrong with them. Returns the new end. */
  private string(source: Uint8Array, end: number, target: number): number {
    if (this.position >= end) throw failure("string missing")
    const octet = source[this.position++]!
    const length = this.integer(source, end, octet & 0x7f, 0x7f)
    const from = this.position
    const to = from + length
    if (to > end) throw failure("string cut short")
    this.position = to
    const { text } = scratch
    let flags = 0
    let at = target
    if (octet >= 0x80) {
      const { accepting, transitions } = this.huffman
      let state = 0
      for (let i = from; i < to; i++) {
        const entry = transitions[(state << 8) | source[i]!]!
        flags |= entry
        state = entry & Huffman.NEXT_BITS
        // Both symbols are written whether they are there or not: a branch would be guessed wrong half of the time.
        text[at] = entry >>> 8
        text[at + 1] = entry >>> 16
        at += (entry >>> 24) & 3
      }
      if ((flags & Huffman.FAIL) !== 0 || accepting[state] === 0) throw failure("bad Huffman code")
    } else {
      const { octets } = this.huffman
      for (let i = from; i < to; i++) {
        const value = source[i]!
        flags |= octets[value]!
        text[at++] = value
      }
    }
    // Leading or trailing white space makes a value malformed, RFC 9113 section 8.2.1; in a name it is no token character anyway.
    if (at > target && (isBlank(text[target]!) || isBlank(text[at - 1]!))) flags |= Huffman.BAD_VALUE
    this.flags = flags
    return at
  }
}

const latin1 = (start: number, end: number): string => scratch.text.toString("latin1", start, end)

const isBlank = (octet: number): boolean => octet === 0x20 || octet === 0x09

const grow = (): void => {
  const larger = new Int32Array(Math.max(256, scratch.instructions.length * 2))
  larger.set(scratch.instructions)
  scratch.instructions = larger
}
