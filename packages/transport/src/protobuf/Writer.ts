/**
 * Bytes under construction for compiled encoders: one buffer, written from front to back. Lengths of nested messages are put in afterwards, and
 * what stands behind them moves only when the length needs more than one byte. The methods check their values and throw, which sends the message
 * to protobuf-es for the final word.
 */

const FLOAT_MAX = 3.4028234663852886e38
/** Longest text, in UTF-16 units, whose encoded length is guessed. */
const MAX_GUESSED = 8192

/** From this length on, in UTF-16 units, a text is written by one call out of JavaScript. */
const MIN_WHOLE = 14

/** What `write` calls for this encoding; it is there in Node's buffers only. */
const utf8Write =
  (Buffer.prototype as { utf8Write?: (this: Buffer, text: string, start: number, most: number) => number }).utf8Write ??
  function (this: Buffer, text: string, start: number, most: number) {
    return this.write(text, start, most, "utf8")
  }

/** Up to here a number is exact, and arithmetic with it cheaper than with a bigint. */
const MAX_EXACT = BigInt(Number.MAX_SAFE_INTEGER)

/** Bytes of a varint below 2^28. */
const lengthOfVarint = (value: number): number => (value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4)

class NotEncodable extends Error {}

const fail = (value: unknown): never => {
  throw new NotEncodable(String(value))
}

export class Writer {
  buffer: Buffer = Buffer.allocUnsafeSlow(65_536)
  position = 0
  private numbers = new DataView(this.buffer.buffer)

  /** Makes room for so many bytes. */
  reserve(bytes: number): void {
    if (this.position + bytes <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.position + bytes))
    this.buffer.copy(grown, 0, 0, this.position)
    this.buffer = grown
    this.numbers = new DataView(grown.buffer)
  }

  /** Leaves so many bytes to be filled in later. */
  skip(bytes: number): void {
    this.reserve(bytes)
    this.position += bytes
  }

  /** What has been written from `start` to `end`; valid until the next write. */
  view(start: number, end: number = this.position): Uint8Array {
    return this.buffer.subarray(start, end)
  }

  /** Drops the first so many bytes and moves the rest to the front. */
  drop(bytes: number): void {
    if (bytes < this.position) this.buffer.copyWithin(0, bytes, this.position)
    this.position -= bytes
  }

  byte(value: number): void {
    if (this.position === this.buffer.length) this.reserve(1)
    this.buffer[this.position++] = value
  }

  /** An unsigned 32-bit number that is known to be one: tags and lengths. */
  raw32(value: number): void {
    this.reserve(5)
    const { buffer } = this
    let { position } = this
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) buffer[position++] = rest | 0x80
    buffer[position++] = rest
    this.position = position
  }

  private raw64(low: number, high: number): void {
    if (high === 0) return this.raw32(low)
    this.reserve(10)
    const { buffer } = this
    let { position } = this
    let l = low
    let h = high
    while (h !== 0 || l > 0x7f) {
      buffer[position++] = (l & 0x7f) | 0x80
      l = ((l >>> 7) | (h << 25)) >>> 0
      h >>>= 7
    }
    buffer[position++] = l
    this.position = position
  }

  int32(value: number): void {
    if (typeof value !== "number" || value !== (value | 0)) fail(value)
    if (value >= 0) this.raw32(value)
    else this.raw64(value >>> 0, 0xffffffff)
  }
  uint32(value: number): void {
    if (typeof value !== "number" || value !== value >>> 0) fail(value)
    this.raw32(value)
  }
  sint32(value: number): void {
    if (typeof value !== "number" || value !== (value | 0)) fail(value)
    this.raw32(((value << 1) ^ (value >> 31)) >>> 0)
  }
  fixed32(value: number): void {
    if (typeof value !== "number" || value !== value >>> 0) fail(value)
    this.reserve(4)
    this.numbers.setUint32(this.position, value, true)
    this.position += 4
  }
  sfixed32(value: number): void {
    if (typeof value !== "number" || value !== (value | 0)) fail(value)
    this.reserve(4)
    this.numbers.setInt32(this.position, value, true)
    this.position += 4
  }
  int64(value: bigint): void {
    if (typeof value === "bigint" && value >= 0n && value <= MAX_EXACT) return this.exact(Number(value))
    const bits = typeof value === "bigint" && value === BigInt.asIntN(64, value) ? BigInt.asUintN(64, value) : fail(value)
    this.raw64(Number(bits & 0xffffffffn), Number(bits >> 32n))
  }
  uint64(value: bigint): void {
    if (typeof value === "bigint" && value >= 0n && value <= MAX_EXACT) return this.exact(Number(value))
    if (typeof value !== "bigint" || value !== BigInt.asUintN(64, value)) fail(value)
    this.raw64(Number(value & 0xffffffffn), Number(value >> 32n))
  }
  /** A number that is an integer and not negative. */
  private exact(value: number): void {
    this.raw64(value >>> 0, (value / 0x100000000) >>> 0)
  }
  sint64(value: bigint): void {
    if (typeof value !== "bigint" || value !== BigInt.asIntN(64, value)) fail(value)
    this.uint64(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)))
  }
  fixed64(value: bigint): void {
    if (typeof value !== "bigint" || value !== BigInt.asUintN(64, value)) fail(value)
    this.reserve(8)
    this.numbers.setBigUint64(this.position, value, true)
    this.position += 8
  }
  sfixed64(value: bigint): void {
    if (typeof value !== "bigint" || value !== BigInt.asIntN(64, value)) fail(value)
    this.reserve(8)
    this.numbers.setBigInt64(this.position, value, true)
    this.position += 8
  }
  float(value: number): void {
    if (typeof value !== "number" || (Number.isFinite(value) && Math.abs(value) > FLOAT_MAX)) fail(value)
    this.reserve(4)
    this.numbers.setFloat32(this.position, value, true)
    this.position += 4
  }
  double(value: number): void {
    if (typeof value !== "number") fail(value)
    this.reserve(8)
    this.numbers.setFloat64(this.position, value, true)
    this.position += 8
  }
  bool(value: boolean): void {
    if (typeof value !== "boolean") fail(value)
    this.reserve(1)
    this.buffer[this.position++] = value ? 1 : 0
  }
  bytes(value: Uint8Array): void {
    if (!(value instanceof Uint8Array)) fail(value)
    this.raw32(value.length)
    this.append(value)
  }
  append(value: Uint8Array): void {
    this.reserve(value.length)
    this.buffer.set(value, this.position)
    this.position += value.length
  }

  string(value: string): void {
    if (typeof value !== "string") fail(value)
    const { length } = value
    if (length > 127) return this.longString(value)
    if (length >= MIN_WHOLE) {
      this.reserve(length * 3 + 1)
      const { buffer, position } = this
      // what has other characters than those of ASCII is longer
      if (utf8Write.call(buffer, value, position + 1, length * 3) !== length) return this.longString(value)
      buffer[position] = length
      this.position = position + 1 + length
      return
    }
    this.reserve(length + 1)
    const { buffer } = this
    let position = this.position
    buffer[position++] = length
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return this.longString(value)
      buffer[position++] = code
    }
    this.position = position
  }

  private longString(value: string): void {
    // Most texts are ASCII: the length is put down as if this were one, and a text that turns out longer may have to move. A very long one is measured
    // first, because room for its worst case would be three times its size.
    const expected = value.length > MAX_GUESSED ? Buffer.byteLength(value) : value.length
    this.reserve(5 + (value.length > MAX_GUESSED ? expected : value.length * 3))
    const before = this.position
    this.raw32(expected)
    const start = this.position
    const length = this.buffer.write(value, start, "utf8")
    if (length !== expected) {
      // its own length may take more bytes too; the text makes room before they are written
      const moved = before + lengthOfVarint(length)
      if (moved !== start) this.buffer.copyWithin(moved, start, start + length)
      this.position = before
      this.raw32(length)
    }
    this.position += length
  }

  /** Begins a nested message; `join` takes what this returns. */
  fork(): number {
    this.reserve(1)
    return ++this.position
  }

  /** Ends a nested message: writes its length in front of it. */
  join(start: number): void {
    const length = this.position - start
    if (length < 0x80) {
      this.buffer[start - 1] = length
      return
    }
    const more = length < 0x10000000 ? lengthOfVarint(length) - 1 : 4
    this.reserve(more)
    this.buffer.copyWithin(start + more, start, this.position)
    this.position += more
    let rest = length
    let at = start - 1
    for (; rest > 0x7f; rest >>>= 7) this.buffer[at++] = (rest & 0x7f) | 0x80
    this.buffer[at] = rest
  }
}
