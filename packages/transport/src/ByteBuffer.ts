/**
 * Bytes that come in parts and go from the front. They are joined as they come, doubling: a list of parts would cost a hundred bytes for each byte of
 * a peer that sends them one by one.
 */
export class ByteBuffer {
  private bytes: Uint8Array = EMPTY
  private from = 0
  private to = 0

  get length(): number {
    return this.to - this.from
  }

  /** Copies a part. The first one gets as much room as it needs. */
  add(part: Uint8Array): void {
    const { length } = part
    if (this.bytes.length - this.to < length) this.makeRoom(length)
    this.bytes.set(part, this.to)
    this.to += length
  }

  /** What has come, as a view that is valid until the next `add`. */
  peek(): Uint8Array {
    return this.bytes.subarray(this.from, this.to)
  }

  /** Lets go of so many bytes at the front. */
  drop(bytes: number): void {
    this.from += bytes
    if (this.from >= this.to) this.clear()
  }

  /** All that has come, for good. */
  take(): Uint8Array {
    const all = this.peek()
    this.clear()
    return all
  }

  clear(): void {
    this.bytes = EMPTY
    this.from = this.to = 0
  }

  private makeRoom(coming: number): void {
    const kept = this.peek()
    const needed = kept.length + coming
    // what has been dropped makes room when it is the larger half
    const target =
      needed * 2 <= this.bytes.length ? this.bytes : new Uint8Array(kept.length === 0 ? coming : Math.max(needed, kept.length * 2))
    target.set(kept, 0)
    this.bytes = target
    this.from = 0
    this.to = kept.length
  }
}

const EMPTY = new Uint8Array(0)
