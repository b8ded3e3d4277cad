import type { Stream } from "../Stream.ts"

/**
 * The open streams of a connection. The newest one is kept beside the map: an exchange that is over before the next one starts never enters the map.
 */
export class StreamTable {
  private readonly map = new Map<number, Stream>()
  private newest: Stream | undefined = undefined

  get size(): number {
    return this.newest === undefined ? this.map.size : this.map.size + 1
  }

  get(id: number): Stream | undefined {
    const { newest } = this
    if (newest !== undefined && newest.id === id) return newest
    return this.map.get(id)
  }

  add(stream: Stream): void {
    const { newest } = this
    if (newest !== undefined) this.map.set(newest.id, newest)
    this.newest = stream
  }

  delete(stream: Stream): void {
    if (this.newest === stream) this.newest = undefined
    else this.map.delete(stream.id)
  }

  /** A copy in order of opening: streams may be closed while it is walked. */
  all(): Array<Stream> {
    const streams = [...this.map.values()]
    if (this.newest !== undefined) streams.push(this.newest)
    return streams
  }
}
