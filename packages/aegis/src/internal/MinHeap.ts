/** The keys with the highest counts, the lowest of them on top: a binary heap that knows where each key is. */
export interface MinHeap {
  /** Updates a key or puts it in, if it is not lower than all of a full heap; true when it is in the heap afterwards. */
  readonly offer: (key: string, count: number) => boolean
  readonly has: (key: string) => boolean
  /** Highest count first; of equal ones the lower key. */
  readonly list: () => ReadonlyArray<{ readonly key: string; readonly count: number }>
  readonly halve: () => void
}

/** A heap of at most `capacity` keys; `onExpelled` hears of those that make room. */
export const make = (capacity: number, onExpelled?: (key: string, count: number) => void): MinHeap => new Heap(capacity, onExpelled)

interface Node {
  readonly key: string
  count: number
  index: number
}

const isLower = (a: Node, b: Node): boolean => a.count < b.count || (a.count === b.count && a.key > b.key)

class Heap implements MinHeap {
  private readonly capacity: number
  private readonly onExpelled: ((key: string, count: number) => void) | undefined
  private readonly nodes: Array<Node> = []
  private readonly byKey = new Map<string, Node>()

  constructor(capacity: number, onExpelled: ((key: string, count: number) => void) | undefined) {
    this.capacity = capacity
    this.onExpelled = onExpelled
  }

  offer(key: string, count: number): boolean {
    const known = this.byKey.get(key)
    if (known !== undefined) {
      known.count = count
      this.up(known.index)
      this.down(known.index)
      return true
    }
    const node: Node = { key, count, index: this.nodes.length }
    if (this.nodes.length < this.capacity) {
      this.nodes.push(node)
      this.byKey.set(key, node)
      this.up(node.index)
      return true
    }
    const lowest = this.nodes[0]!
    if (count < lowest.count) return false
    this.byKey.delete(lowest.key)
    this.byKey.set(key, node)
    this.place(node, 0)
    this.down(0)
    this.onExpelled?.(lowest.key, lowest.count)
    return true
  }

  has(key: string): boolean {
    return this.byKey.has(key)
  }

  list(): ReadonlyArray<{ readonly key: string; readonly count: number }> {
    return this.nodes.toSorted((a, b) => (isLower(a, b) ? 1 : -1)).map(({ count, key }) => ({ key, count }))
  }

  halve(): void {
    for (const node of this.nodes) node.count = Math.floor(node.count / 2)
    // counts that have become equal are ordered by their keys
    for (let i = (this.nodes.length >> 1) - 1; i >= 0; i--) this.down(i)
  }

  private place(node: Node, index: number): void {
    node.index = index
    this.nodes[index] = node
  }

  private up(from: number): void {
    const node = this.nodes[from]!
    let index = from
    while (index > 0) {
      const parent = this.nodes[(index - 1) >> 1]!
      if (!isLower(node, parent)) break
      const above = parent.index
      this.place(parent, index)
      index = above
    }
    this.place(node, index)
  }

  private down(from: number): void {
    const node = this.nodes[from]!
    let index = from
    for (;;) {
      const left = this.nodes[2 * index + 1]
      if (left === undefined) break
      const right = this.nodes[2 * index + 2]
      const lower = right !== undefined && isLower(right, left) ? right : left
      if (!isLower(lower, node)) break
      const below = lower.index
      this.place(lower, index)
      index = below
    }
    this.place(node, index)
  }
}
