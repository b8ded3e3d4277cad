import type { Stream } from "../Stream.ts"

/** A queue of streams, linked through `next`; a stream is in one list at a time. */
export class StreamList {
  private first: Stream | undefined = undefined
  private last: Stream | undefined = undefined

  get isEmpty(): boolean {
    return this.first === undefined
  }

  push(stream: Stream): void {
    if (this.last === undefined) this.first = stream
    else this.last.next = stream
    this.last = stream
  }

  shift(): Stream | undefined {
    const stream = this.first
    if (stream !== undefined) {
      this.first = stream.next
      if (this.first === undefined) this.last = undefined
      stream.next = undefined
    }
    return stream
  }

  /** Takes a stream out of the middle; a walk, for streams that were reset. False when it is not here. */
  remove(stream: Stream): boolean {
    let before: Stream | undefined
    for (let at = this.first; at !== undefined; before = at, at = at.next) {
      if (at !== stream) continue
      if (before === undefined) this.first = at.next
      else before.next = at.next
      if (this.last === at) this.last = before
      at.next = undefined
      return true
    }
    return false
  }

  /** Moves all of `other` behind the own streams. */
  append(other: StreamList): void {
    if (other.first === undefined) return
    if (this.last === undefined) this.first = other.first
    else this.last.next = other.first
    this.last = other.last
    other.first = other.last = undefined
  }
}
