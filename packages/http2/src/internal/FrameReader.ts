import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import * as Frame from "./Frame.ts"

/** What a reader reports, in the order of the wire. Any of these may throw a `ConnectionError`. */
export interface FrameHandler {
  /** A whole frame other than DATA; its payload is `source` from `start` to `end`, valid during the call. */
  onFrame(type: number, flags: number, id: number, source: Uint8Array, start: number, end: number): void
  /** The head of a DATA frame: `length` counts for flow control, `payload` is without padding. */
  onDataHead(flags: number, id: number, length: number, payload: number): void
  /** A part of the payload of that frame; `last` with its end, also when that is empty. */
  onDataPart(source: Uint8Array, start: number, end: number, last: boolean): void
}

/**
 * Cuts a byte stream into frames, whatever its chunks are. Frames whole in a chunk are reported in place; a frame that spans chunks is copied, except
 * that DATA goes through in parts.
 */
export class FrameReader {
  private stopped = false
  private readonly handler: FrameHandler
  private readonly maxFrameSize: number
  /** A frame has been held since somebody last looked. */
  hasHeld = false
  /** The start of a frame whose rest has not come: `held` bytes of `need`. */
  private partial = new Uint8Array(Frame.HEADER + 1)
  private held = 0
  private need = 0
  /** Inside a DATA frame: bytes of payload and of padding still to come. */
  private inData = false
  private payload = 0
  private padding = 0

  constructor(handler: FrameHandler, maxFrameSize: number) {
    this.handler = handler
    this.maxFrameSize = maxFrameSize
  }

  /** Part of a frame other than DATA has come, or of its head. */
  get isHolding(): boolean {
    return this.held > 0
  }

  /** Bytes kept for a frame that has not come whole. */
  get heldBytes(): number {
    return this.partial.length
  }

  /** Ignores everything from now on, also the rest of a chunk being read. */
  stop(): void {
    this.stopped = true
  }

  read(source: Uint8Array, from: number): void {
    const end = source.length
    let at = from
    while (at < end && !this.stopped) {
      if (this.inData) at = this.readData(source, at, end)
      else if (this.held > 0) at = this.complete(source, at, end)
      else at = this.readFrame(source, at, end)
    }
  }

  /** Reads one frame that starts at `at`; returns where the next one starts, or `end` when this one is incomplete and held. */
  private readFrame(source: Uint8Array, at: number, end: number): number {
    const available = end - at
    if (available < Frame.HEADER) return this.hold(source, at, end, Frame.HEADER)
    const length = (source[at]! << 16) | (source[at + 1]! << 8) | source[at + 2]!
    const type = source[at + 3]!
    const flags = source[at + 4]!
    const id = Frame.uint32(source, at + 5) & Frame.MAX_31
    if (length > this.maxFrameSize) {
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `frame of ${length} bytes, ${this.maxFrameSize} are allowed`)
    }
    const start = at + Frame.HEADER
    if (type !== Frame.DATA) {
      if (available - Frame.HEADER < length) return this.hold(source, at, end, Frame.HEADER + length)
      this.handler.onFrame(type, flags, id, source, start, start + length)
      return start + length
    }
    if ((flags & Frame.PADDED) === 0) {
      this.handler.onDataHead(flags, id, length, length)
      if (available - Frame.HEADER >= length) {
        this.handler.onDataPart(source, start, start + length, true)
        return start + length
      }
      this.inData = true
      this.payload = length
      this.padding = 0
      return start
    }
    if (length === 0) throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "padded DATA without a pad length")
    if (available === Frame.HEADER) return this.hold(source, at, end, Frame.HEADER + 1)
    const padding = source[start]!
    if (padding >= length) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    this.payload = length - 1 - padding
    this.padding = padding
    this.inData = true
    this.handler.onDataHead(flags, id, length, this.payload)
    // An empty payload would otherwise wait for its padding, or for the next frame.
    if (this.payload === 0) this.endData(source, start + 1, start + 1)
    return start + 1
  }

  private readData(source: Uint8Array, at: number, end: number): number {
    if (this.payload > 0) {
      const stop = Math.min(end, at + this.payload)
      this.payload -= stop - at
      if (this.payload === 0) this.endData(source, at, stop)
      else this.handler.onDataPart(source, at, stop, false)
      return stop
    }
    const skipped = Math.min(end - at, this.padding)
    this.padding -= skipped
    if (this.padding === 0) this.inData = false
    return at + skipped
  }

  private endData(source: Uint8Array, start: number, end: number): void {
    if (this.padding === 0) this.inData = false
    this.handler.onDataPart(source, start, end, true)
  }

  private hold(source: Uint8Array, at: number, end: number, need: number): number {
    if (this.held === 0) this.hasHeld = true
    const filled = this.held + end - at
    if (this.partial.length < filled) {
      // A peer may announce a frame that it never sends: memory follows what has come, doubling.
      const larger = new Uint8Array(Math.min(need, Math.max(filled, this.partial.length * 2)))
      larger.set(this.partial.subarray(0, this.held))
      this.partial = larger
    }
    this.partial.set(source.subarray(at, end), this.held)
    this.held += end - at
    this.need = need
    return end
  }

  /** Adds to the held frame; reads it when it is complete. */
  private complete(source: Uint8Array, at: number, end: number): number {
    const stop = Math.min(end, at + this.need - this.held)
    this.hold(source, at, stop, this.need)
    if (this.held < this.need) return stop
    const { hasHeld, held, partial } = this
    this.held = 0
    // Reading a bare header may ask for more: then it is held anew, in the same bytes.
    this.readFrame(partial.subarray(0, held), 0, held)
    if (this.held > 0) this.hasHeld = hasHeld
    else if (partial.length > 1024) this.partial = new Uint8Array(Frame.HEADER + 1)
    return stop
  }
}
