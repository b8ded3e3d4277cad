/** Bytes to be read by compiled decoders. Every method throws on bytes that are no protobuf; reading past the end is noticed at the latest by the caller. */

import * as Slab from "./Slab.ts"

class Malformed extends Error {}

/** Longest text, in bytes, that is looked at byte by byte. */
const MAX_SCANNED = 256
/** Longest text, in bytes, that is put together byte by byte, in a message of at most `MIN_SHARED`. */
const MAX_BUILT = 24
const MIN_SHARED = 48
/** Longest message, in bytes, whose texts are parts of one string: each of them keeps all of it in memory. */
const MAX_SHARED = 2048

/** A view for each message would cost more than to move eight bytes. */
const fixedBytes = new Uint8Array(8)
const fixedView = new DataView(fixedBytes.buffer)

// works on any view of bytes
const latin1 = (bytes: Uint8Array, start: number, end: number): string => Buffer.prototype.latin1Slice.call(bytes, start, end)

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

export class Reader {
  readonly buffer: Uint8Array
  private readonly owned: boolean
  position = 0
  /** The upper half of the last 64-bit varint; the lower half was returned. */
  private high = 0
  /** All bytes as Latin-1, made when a text is cut out of it. */
  private text: string | undefined = undefined

  /** `owned`: the message may keep views of the buffer. */
  constructor(buffer: Uint8Array, owned = false) {
    this.buffer = buffer
    this.owned = owned
  }

  fail(): never {
    throw new Malformed()
  }

  /** A tag: at most five bytes, a field number from 1 on. */
  tag(): number {
    const first = this.buffer[this.position]!
    if (first < 0x80) {
      this.position++
      return first
    }
    const start = this.position
    const tag = this.varint()
    if (this.high !== 0 || this.position - start > 5) this.fail()
    return tag
  }

  /** A varint; returns its lower half and keeps the upper. */
  private varint(): number {
    const { buffer } = this
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = buffer[this.position++]
      if (byte === undefined) this.fail()
      if (shift < 28) low |= (byte & 0x7f) << shift
      else if (shift === 28) {
        low |= byte << 28
        high |= (byte & 0x7f) >>> 4
      } else high |= (byte & 0x7f) << (shift - 32)
      if (byte < 0x80) {
        this.high = high >>> 0
        return low >>> 0
      }
    }
    return this.fail()
  }

  /** A length, checked against what is there; returns where it ends. */
  end(): number {
    const end =
      this.position < this.buffer.length && this.buffer[this.position]! < 0x80
        ? this.buffer[this.position++]! + this.position
        : this.longEnd()
    if (end > this.buffer.length) this.fail()
    return end
  }
  private longEnd(): number {
    const length = this.varint()
    if (this.high !== 0) this.fail()
    return length + this.position
  }

  int32(): number {
    return this.varint() | 0
  }
  uint32(): number {
    return this.varint()
  }
  sint32(): number {
    const value = this.varint()
    return (value >>> 1) ^ -(value & 1)
  }
  uint64(): bigint {
    const low = this.varint()
    // what a number holds exactly is one conversion
    return this.high < 0x200000 ? BigInt(this.high * 0x100000000 + low) : (BigInt(this.high) << 32n) | BigInt(low)
  }
  int64(): bigint {
    const value = this.uint64()
    return this.high > 0x7fffffff ? BigInt.asIntN(64, value) : value
  }
  sint64(): bigint {
    const value = this.uint64()
    return (value >> 1n) ^ -(value & 1n)
  }
  bool(): boolean {
    const low = this.varint()
    return low !== 0 || this.high !== 0
  }
  private take(bytes: number): number {
    const at = this.position
    this.position += bytes
    return at
  }
  /** Puts the next so many bytes where numbers of fixed size are read. What is missing is noticed by whoever asks where the reading has come to. */
  private fixed(bytes: number): DataView {
    const { buffer } = this
    const at = this.take(bytes)
    for (let i = 0; i < bytes; i++) fixedBytes[i] = buffer[at + i]!
    return fixedView
  }
  fixed32(): number {
    return this.fixed(4).getUint32(0, true)
  }
  sfixed32(): number {
    return this.fixed(4).getInt32(0, true)
  }
  fixed64(): bigint {
    return this.fixed(8).getBigUint64(0, true)
  }
  sfixed64(): bigint {
    return this.fixed(8).getBigInt64(0, true)
  }
  float(): number {
    return this.fixed(4).getFloat32(0, true)
  }
  double(): number {
    return this.fixed(8).getFloat64(0, true)
  }
  /** A copy where what was read from may be reused, and where a view would keep much more memory than it shows. */
  bytes(): Uint8Array {
    const end = this.end()
    const start = this.position
    this.position = end
    const { buffer } = this
    if (this.owned && ((end - start) * 2 >= buffer.length || buffer.buffer.byteLength <= Slab.SIZE))
      return new Uint8Array(buffer.buffer, buffer.byteOffset + start, end - start)
    return Slab.copy(buffer, start, end)
  }
  string(): string {
    const end = this.end()
    const start = this.position
    this.position = end
    const { buffer } = this
    if (end - start > MAX_SCANNED) return utf8.decode(buffer.subarray(start, end))
    for (let i = start; i < end; i++) if (buffer[i]! > 0x7f) return utf8.decode(buffer.subarray(start, end))
    if (end - start > MAX_BUILT || buffer.length > MIN_SHARED) return this.ascii(start, end)
    let text = ""
    for (let i = start; i < end; i++) text += String.fromCharCode(buffer[i]!)
    return text
  }

  /** A text that is known to be ASCII: a part of all bytes as one string, which costs one call out of JavaScript a message and not one a field. */
  private ascii(start: number, end: number): string {
    if (this.buffer.length > MAX_SHARED) return latin1(this.buffer, start, end)
    return (this.text ??= latin1(this.buffer, 0, this.buffer.length)).substring(start, end)
  }

  /** Steps over the value of a field that the descriptor does not have; `depth` bounds nested groups. */
  skip(tag: number, depth: number): void {
    if (tag >>> 3 === 0 || depth < 0) this.fail()
    switch (tag & 7) {
      case 0:
        this.varint()
        return
      case 1:
        this.take(8)
        break
      case 2:
        this.position = this.end()
        return
      case 3: {
        for (;;) {
          if (this.position >= this.buffer.length) this.fail()
          const inner = this.tag()
          if ((inner & 7) === 4) {
            if (inner >>> 3 !== tag >>> 3) this.fail()
            return
          }
          this.skip(inner, depth - 1)
        }
      }
      case 5:
        this.take(4)
        break
      default:
        this.fail()
    }
    if (this.position > this.buffer.length) this.fail()
  }
}
