/**
 * Length-prefixed messages of gRPC: one byte of flags, four of length, the bytes. The reader takes DATA payloads in any cut and yields whole
 * messages; one that lies whole in one payload is a view, not a copy.
 */
import * as Compression from "./Compression.ts"
import * as GrpcError from "./GrpcError.ts"
import type { KratosError } from "@effect-kratos/core/error/KratosError"

export const PREFIX = 5

/**
 * Takes a message, decompressed, and whether it came compressed. One that is `owned` lies in memory of its own, which a message made of it may keep; another is
 * valid only during the call.
 */
export type Emit = (message: Uint8Array, compressed: boolean, owned: boolean) => void

/** Prepends the prefix to an encoded message, compressing it when asked. */
export const frame = (message: Uint8Array, encoding: Compression.Encoding | undefined): Uint8Array => {
  const payload = encoding === undefined ? message : Compression.compress(encoding, message)
  const framed = new Uint8Array(PREFIX + payload.length)
  framed.set(payload, PREFIX)
  writePrefix(framed, 0, payload.length, encoding !== undefined)
  return framed
}

/** Writes a prefix at `offset`. */
export const writePrefix = (target: Uint8Array, offset: number, length: number, compressed: boolean): void => {
  target[offset] = compressed ? 1 : 0
  target[offset + 1] = length >>> 24
  target[offset + 2] = length >>> 16
  target[offset + 3] = length >>> 8
  target[offset + 4] = length
}

const SMALL = 4096

/** Reads the messages of one direction of a stream. */
export class Reader {
  private readonly maxBytes: number
  private readonly encoding: Compression.Encoding | undefined
  /** The message under way when it spans payloads: prefix and payload as far as they came. */
  private partial: Uint8Array | undefined = undefined
  private filled = 0

  constructor(maxBytes: number, encoding: Compression.Encoding | undefined) {
    this.maxBytes = maxBytes
    this.encoding = encoding
  }

  /** True when no message has begun that has not ended. */
  get idle(): boolean {
    return this.filled === 0
  }

  /** Takes a payload and calls `emit` with each message that it completes. `owned`: messages may keep what lies whole in it. */
  push(data: Uint8Array, emit: Emit, owned = false): KratosError | undefined {
    let offset = 0
    while (offset < data.length) {
      if (this.filled === 0 && data.length - offset >= PREFIX) {
        const length = lengthAt(data, offset)
        if (length > this.maxBytes) return GrpcError.tooLarge(length, this.maxBytes)
        const end = offset + PREFIX + length
        if (end <= data.length) {
          const error = this.emit(data[offset]!, data.subarray(offset + PREFIX, end), owned, emit)
          if (error !== undefined) return error
          offset = end
          continue
        }
      }
      const error = this.collect(data, offset, emit)
      if (typeof error === "object") return error
      offset = error
    }
    return undefined
  }

  /** Copies into the message under way; returns the new offset. */
  private collect(data: Uint8Array, from: number, emit: Emit): number | KratosError {
    let offset = from
    if (this.partial === undefined) this.partial = new Uint8Array(PREFIX)
    while (this.filled < PREFIX && offset < data.length) this.partial[this.filled++] = data[offset++]!
    if (this.filled < PREFIX) return offset
    const length = lengthAt(this.partial, 0)
    if (length > this.maxBytes) return GrpcError.tooLarge(length, this.maxBytes)
    const total = PREFIX + length
    if (this.partial.length < total) this.grow(total, data.length - offset)
    const take = Math.min(total - this.filled, data.length - offset)
    this.partial.set(data.subarray(offset, offset + take), this.filled)
    this.filled += take
    offset += take
    if (this.filled < total) return offset
    const message = this.partial.subarray(PREFIX, total)
    const flags = this.partial[0]!
    this.partial = undefined
    this.filled = 0
    return this.emit(flags, message, true, emit) ?? offset
  }

  // A peer may announce a message that it never sends: memory follows what has come, fourfold.
  private grow(total: number, coming: number): void {
    const needed = this.filled + coming
    if (this.partial!.length >= Math.min(total, needed)) return
    const size = Math.min(total, Math.max(needed, this.partial!.length * 4))
    // large memory is not cleared: what has not come is not shown
    const grown = size <= SMALL ? new Uint8Array(size) : new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
    grown.set(this.partial!.subarray(0, this.filled))
    this.partial = grown
  }

  private emit(flags: number, payload: Uint8Array, owned: boolean, emit: Emit): KratosError | undefined {
    if (flags === 0) {
      emit(payload, false, owned)
      return undefined
    }
    if (flags !== 1) return GrpcError.malformed(`message flags ${flags} are not defined`)
    if (this.encoding === undefined) return GrpcError.malformed("a message is compressed but grpc-encoding is identity")
    const message = Compression.decompress(this.encoding, payload, this.maxBytes)
    if (message instanceof Uint8Array) {
      emit(message, true, true)
      return undefined
    }
    return message
  }
}

/** The length that a prefix announces. */
export const lengthAt = (data: Uint8Array, offset: number): number =>
  ((data[offset + 1]! << 24) | (data[offset + 2]! << 16) | (data[offset + 3]! << 8) | data[offset + 4]!) >>> 0
