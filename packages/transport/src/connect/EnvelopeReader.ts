/**
 * Reads the envelopes of a Connect stream, in any cut: one byte of flags, four of length, the bytes. It runs in browsers too, and leaves flags and
 * compression to its caller.
 */

export const PREFIX = 5

export class EnvelopeReader {
  private readonly maxBytes: number
  private buffer: Uint8Array = new Uint8Array(PREFIX)
  private filled = 0

  /** Longest content of an envelope, in bytes. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** True when no envelope has begun that has not ended. */
  get idle(): boolean {
    return this.filled === 0
  }

  /** Takes bytes and emits each envelope that they complete; what `emit` gets is valid only during the call. Returns a length that is over the limit. */
  push(data: Uint8Array, emit: (flags: number, content: Uint8Array) => void): number | undefined {
    let offset = 0
    while (offset < data.length) {
      if (this.filled === 0 && data.length - offset >= PREFIX) {
        const length = lengthAt(data, offset)
        if (length > this.maxBytes) return length
        const end = offset + PREFIX + length
        if (end <= data.length) {
          emit(data[offset]!, data.subarray(offset + PREFIX, end))
          offset = end
          continue
        }
      }
      const wanted = this.filled < PREFIX ? PREFIX : PREFIX + lengthAt(this.buffer, 0)
      const take = Math.min(wanted - this.filled, data.length - offset)
      this.grow(this.filled + take, wanted)
      this.buffer.set(data.subarray(offset, offset + take), this.filled)
      this.filled += take
      offset += take
      if (this.filled < PREFIX) return undefined
      const length = lengthAt(this.buffer, 0)
      if (length > this.maxBytes) return length
      if (this.filled === PREFIX + length) this.flush(emit)
    }
    return undefined
  }

  private flush(emit: (flags: number, content: Uint8Array) => void): void {
    const { buffer, filled } = this
    this.buffer = new Uint8Array(PREFIX)
    this.filled = 0
    emit(buffer[0]!, buffer.subarray(PREFIX, filled))
  }

  // A peer may announce what it never sends: memory follows what has come, doubling.
  private grow(needed: number, wanted: number): void {
    if (this.buffer.length >= needed) return
    const grown = new Uint8Array(Math.min(wanted, Math.max(needed, this.buffer.length * 2)))
    grown.set(this.buffer.subarray(0, this.filled))
    this.buffer = grown
  }
}

const lengthAt = (data: Uint8Array, offset: number): number =>
  ((data[offset + 1]! << 24) | (data[offset + 2]! << 16) | (data[offset + 3]! << 8) | data[offset + 4]!) >>> 0
