import type { Duplex } from "node:stream"
import * as Frame from "./Frame.ts"

const CHUNK = 65_536
/** A remainder smaller than this is not worth taking up again. */
const SMALLEST = 24_576
/** Bytes of at least this length go out by reference, shorter ones are copied behind their frame header. */
const REFERENCE = 8192

/** A chunk that is free from `position` on. */
interface Region {
  readonly buffer: Uint8Array
  readonly position: number
}

/** Chunks with room left, shared by all connections: a connection holds one only while it has something to write. A written region is used again only if `recycle` allows it. */
const pool: Array<Region> = []
const POOLED = 8

const keep = (buffer: Uint8Array, position: number): void => {
  if (buffer.length - position >= SMALLEST && pool.length < POOLED) pool.push({ buffer, position })
}

const nothing = new Uint8Array(0)

/** Collects frames until they leave in one write. */
export class Output {
  /** Bytes collected. */
  size = 0
  /** Times that something was handed to the duplex. */
  writes = 0
  private buffer: Uint8Array = nothing
  private start = 0
  private position = 0
  private pieces: Array<Uint8Array> = []
  private readonly recycle: boolean
  /** What the duplex has still to write, to be used again afterwards. */
  private readonly leaving: Array<Region> = []

  constructor(recycle: boolean) {
    this.recycle = recycle
  }

  /** A frame header; what follows must be `length` bytes of payload. */
  frame(length: number, type: number, flags: number, id: number): void {
    if (this.buffer.length - this.position < Frame.HEADER) this.renew(Frame.HEADER)
    const { buffer } = this
    let at = this.position
    buffer[at++] = length >>> 16
    buffer[at++] = length >>> 8
    buffer[at++] = length
    buffer[at++] = type
    buffer[at++] = flags
    buffer[at++] = id >>> 24
    buffer[at++] = id >>> 16
    buffer[at++] = id >>> 8
    buffer[at++] = id
    this.position = at
    this.size += Frame.HEADER
  }

  uint16(value: number): void {
    if (this.buffer.length - this.position < 2) this.renew(2)
    this.buffer[this.position++] = value >>> 8
    this.buffer[this.position++] = value
    this.size += 2
  }

  uint32(value: number): void {
    this.uint16(value >>> 16)
    this.uint16(value)
  }

  /** Copies. */
  copy(source: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (this.buffer.length - this.position < length) this.renew(length)
    const { buffer } = this
    let at = this.position
    if (length <= 32) {
      for (let i = start; i < end; i++) buffer[at++] = source[i]!
    } else {
      buffer.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
      at += length
    }
    this.position = at
    this.size += length
  }

  /** Copies what is short and refers to what is long; the caller leaves `source` alone from then on. */
  bytes(source: Uint8Array, start: number, end: number): void {
    if (end - start < REFERENCE) {
      this.copy(source, start, end)
      return
    }
    this.seal()
    this.pieces.push(start === 0 && end === source.length ? source : source.subarray(start, end))
    this.size += end - start
  }

  /** Hands everything to the duplex; false when it wants no more for now. */
  flush(duplex: Duplex): boolean {
    if (this.size === 0) return true
    this.writes++
    this.size = 0
    const { buffer, pieces, position, start } = this
    this.buffer = nothing
    this.start = this.position = 0
    let open = true
    if (pieces.length === 0) {
      open = duplex.write(buffer.subarray(start, position))
    } else {
      this.pieces = []
      if (position > start) pieces.push(buffer.subarray(start, position))
      duplex.cork()
      for (let i = 0; i < pieces.length; i++) open = duplex.write(pieces[i]!)
      duplex.uncork()
    }
    // What may be kept by whoever reads it must not be written over, nor what is still in the duplex.
    if (!this.recycle) keep(buffer, position)
    else if (duplex.writableLength === 0) keep(buffer, start)
    else if (this.leaving.length < POOLED) this.leaving.push({ buffer, position: start })
    return open
  }

  /** The duplex has handed on all that it was given. */
  drained(): void {
    const { leaving } = this
    for (let region = leaving.pop(); region !== undefined; region = leaving.pop()) keep(region.buffer, region.position)
  }

  private seal(): void {
    if (this.position > this.start) this.pieces.push(this.buffer.subarray(this.start, this.position))
    this.start = this.position
  }

  private renew(length: number): void {
    this.seal()
    const pooled = this.buffer === nothing && length <= SMALLEST ? pool.pop() : undefined
    // A plain Uint8Array of its own memory; Buffer only because it allocates without clearing.
    this.buffer = pooled?.buffer ?? Buffer.allocUnsafeSlow(Math.max(CHUNK, length))
    this.start = this.position = pooled?.position ?? 0
  }
}
