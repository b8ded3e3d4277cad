const SIZE = 1024

/** The last streams that we have reset: what the peer sent before it knew is dropped in silence, RFC 9113 section 5.1. */
export class RecentIds {
  /** Some have been forgotten. */
  overflowed = false
  private ids: Int32Array | undefined = undefined
  private at = 0

  add(id: number): void {
    this.ids ??= new Int32Array(SIZE)
    this.ids[this.at++] = id
    if (this.at < SIZE) return
    this.at = 0
    this.overflowed = true
  }

  has(id: number): boolean {
    return this.ids !== undefined && this.ids.includes(id)
  }
}
