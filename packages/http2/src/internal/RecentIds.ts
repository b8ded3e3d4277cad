const SIZE = 128

/** The last streams that we have reset: frames that the peer sent before it knew are dropped in silence, RFC 9113 section 5.1. */
export class RecentIds {
  private readonly ids = new Int32Array(SIZE)
  private at = 0

  add(id: number): void {
    this.ids[this.at] = id
    this.at = (this.at + 1) % SIZE
  }

  has(id: number): boolean {
    return this.ids.includes(id)
  }
}
