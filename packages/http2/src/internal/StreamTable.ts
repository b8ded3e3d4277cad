import type { Stream } from "../Stream.ts"

const SMALLEST = 16
/** Spreads numbers that follow one another (2^32 through the golden ratio): side by side they would make runs as long as the table is full. */
const SPREAD = 0x9e3779b1

/**
 * The open streams of a connection. The newest one is kept beside the table: an exchange that is over before the next one starts never enters it.
 *
 * The table is one of our own, with linear probing by the number of the stream. A `Map` that sees ids come and go is rehashed again and again, and each
 * table that it leaves behind goes on to refer to the next one and to its streams: once one of them is old, collections of young objects keep them all.
 */
export class StreamTable {
  private slots: Array<Stream | undefined> = fresh(SMALLEST)
  private mask = SMALLEST - 1
  /** From 32 bits to a slot. */
  private shift = Math.clz32(SMALLEST - 1)
  private used = 0
  private newest: Stream | undefined = undefined

  get size(): number {
    return this.newest === undefined ? this.used : this.used + 1
  }

  get(id: number): Stream | undefined {
    const { mask, newest, shift, slots } = this
    if (newest !== undefined && newest.id === id) return newest
    for (let at = Math.imul(id, SPREAD) >>> shift; ; at = (at + 1) & mask) {
      const stream = slots[at]
      if (stream === undefined || stream.id === id) return stream
    }
  }

  add(stream: Stream): void {
    const { newest } = this
    if (newest !== undefined) {
      // at most half full, so that a probe is short and always ends
      if (this.used >= this.slots.length >>> 1) this.resize(this.slots.length * 2)
      this.put(newest)
      this.used++
    }
    this.newest = stream
  }

  delete(stream: Stream): void {
    if (this.newest === stream) {
      this.newest = undefined
      return
    }
    const { mask, shift, slots } = this
    let at = Math.imul(stream.id, SPREAD) >>> shift
    while (slots[at] !== stream) {
      if (slots[at] === undefined) return
      at = (at + 1) & mask
    }
    this.used--
    // what was pushed on by this one moves back, so that no probe ends too early
    let hole = at
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const moved = slots[next]
      if (moved === undefined) break
      const home = Math.imul(moved.id, SPREAD) >>> shift
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      slots[hole] = moved
      hole = next
    }
    slots[hole] = undefined
    if (slots.length > SMALLEST && this.used < slots.length >>> 4) this.resize(slots.length >>> 2)
  }

  /** A copy in order of opening: streams may be closed while it is walked. */
  all(): Array<Stream> {
    const streams: Array<Stream> = []
    for (const stream of this.slots) if (stream !== undefined) streams.push(stream)
    streams.sort((a, b) => a.id - b.id)
    if (this.newest !== undefined) streams.push(this.newest)
    return streams
  }

  private put(stream: Stream): void {
    const { mask, shift, slots } = this
    let at = Math.imul(stream.id, SPREAD) >>> shift
    while (slots[at] !== undefined) at = (at + 1) & mask
    slots[at] = stream
  }

  private resize(length: number): void {
    const { slots } = this
    this.slots = fresh(Math.max(SMALLEST, length))
    this.mask = this.slots.length - 1
    this.shift = Math.clz32(this.mask)
    for (const stream of slots) if (stream !== undefined) this.put(stream)
  }
}

const fresh = (length: number): Array<Stream | undefined> => Array.from<undefined>({ length })
