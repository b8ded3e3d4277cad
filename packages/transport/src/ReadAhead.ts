/**
 * Reads messages out of the bytes of a stream, no further ahead of who pulls them than the queue allows: a window full of empty messages, or of small ones
 * that decompress to large ones, would be many times its size. What is not read yet is kept as it came, and not acknowledged; the window of the stream
 * bounds it.
 */
import { ByteBuffer } from "./ByteBuffer.ts"

/** As much of a `MessageQueue` as is needed here. */
export interface Queue {
  readonly isFull: boolean
  received(bytes: number): void
}

/** Most bytes that are read in one go, and of a compressed stream, where each may be a thousand. */
const STEP = 16_384
const COMPRESSED_STEP = 1024
/** Bytes that are read first, before it is known how large messages are. */
const FIRST_STEP = 2048

export class ReadAhead {
  private readonly queue: Queue
  private readonly read: (part: Uint8Array) => boolean
  private readonly most: number
  /** As many bytes as fill half of the queue with messages of the size that has been seen. */
  private step: number
  /** Bytes read since the queue was empty. */
  private filled = 0
  private readonly held = new ByteBuffer()
  private broken = false
  private ended: (() => void) | undefined = undefined

  /** `read` pushes the messages that a part completes and answers false when the bytes are none; what comes after that is dropped. */
  constructor(queue: Queue, read: (part: Uint8Array) => boolean, compressed: boolean) {
    this.queue = queue
    this.read = read
    this.most = compressed ? COMPRESSED_STEP : STEP
    this.step = Math.min(FIRST_STEP, this.most)
  }

  /** Takes a part, which may be changed afterwards. */
  push(data: Uint8Array): void {
    if (this.held.length > 0) return this.held.add(data)
    const taken = this.advance(data)
    if (taken < data.length) this.held.add(data.subarray(taken))
  }

  /** No more parts. `then` runs when all have been read. */
  end(then: () => void): void {
    if (this.held.length === 0) then()
    else this.ended = then
  }

  /** The queue has been emptied. */
  resume(): void {
    this.filled = 0
    if (this.held.length === 0) return
    this.held.drop(this.advance(this.held.peek()))
    const { ended } = this
    if (this.held.length > 0 || ended === undefined) return
    this.ended = undefined
    ended()
  }

  /** Reads until the queue is full; returns the bytes read. */
  private advance(data: Uint8Array): number {
    let at = 0
    while (at < data.length && !this.queue.isFull) {
      const part = at === 0 && data.length <= this.step ? data : data.subarray(at, at + this.step)
      at += part.length
      if (!this.broken) this.broken = !this.read(part)
      this.filled += part.length
      const { filled } = this
      if (this.queue.isFull) this.step = Math.max(1, Math.min(this.step, filled >>> 1))
      else this.step = Math.min(this.most, this.step * 2)
      this.queue.received(part.length)
    }
    return at
  }
}
