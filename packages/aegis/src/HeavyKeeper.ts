/**
 * The keys seen most often in a stream without end, in bounded memory: HeavyKeeper (Gong et al., USENIX ATC 2018). Rows of counters, each
 * owned by the fingerprint of a key; a key that meets a counter of another lowers it with a probability that falls with its count, and
 * takes it over at 0. So frequent keys stay, rare ones wear each other out. Counts are estimates, almost never too high. The `k` highest are
 * kept in a heap.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { murmur3 } from "./internal/hash.ts"
import * as MinHeap from "./internal/MinHeap.ts"

export interface Options {
  /** How many keys are kept; at least 1. */
  readonly k: number
  /** Counters in a row. 1024, times the natural logarithm of `k` as an integer. */
  readonly width?: number | undefined
  /** Rows. 4. */
  readonly depth?: number | undefined
  /** The probability to lower a counter of another key is `decay ^ count`. 0.925. */
  readonly decay?: number | undefined
  /** A key with a lower count is not among the top. 0. */
  readonly minimumCount?: number | undefined
  /** Hears of a key that had to make room. */
  readonly onExpelled?: ((key: string, count: number) => void) | undefined
}

export interface Item {
  readonly key: string
  readonly count: number
}

export interface HeavyKeeper {
  /** Counts `key` (once unless `increment` is given) and says whether it is among the top. */
  readonly add: (key: string, increment?: number) => boolean
  readonly has: (key: string) => boolean
  /** The top, highest count first. */
  readonly list: () => ReadonlyArray<Item>
  /** Halves all counts, so that what was frequent once makes room for what is now. */
  readonly fade: () => void
  /** How much was counted since the beginning; halved by `fade`. */
  readonly total: () => number
}

/** One with the fiber's `Random`. */
export const make = (options: Options): Effect.Effect<HeavyKeeper> =>
  Effect.contextWith((context: Context.Context<never>) => Effect.succeed(makeUnsafe(options, Context.get(context, Random.Random))))

/** One with the `Random` that is given. */
export const makeUnsafe = (options: Options, random: Random.Random): HeavyKeeper => new Keeper(options, random)

const maximum = 0xffffffff
/** Powers of `decay` that are kept; beyond them the last one stands for the others. */
const powers = 256
const encoder = new TextEncoder()

class Keeper implements HeavyKeeper {
  private readonly width: number
  private readonly depth: number
  private readonly minimumCount: number
  private readonly random: Random.Random
  private readonly decays: Float64Array
  /** Row after row. */
  private readonly fingerprints: Uint32Array
  private readonly counts: Uint32Array
  private readonly top: MinHeap.MinHeap
  private bytes = new Uint8Array(256)
  private added = 0

  constructor(options: Options, random: Random.Random) {
    const k = Math.max(1, Math.floor(options.k))
    const { decay = 0.925, depth = 4, minimumCount = 0, onExpelled, width = 1024 * Math.max(1, Math.floor(Math.log(k))) } = options
    this.width = Math.max(1, Math.floor(width))
    this.depth = Math.max(1, Math.floor(depth))
    this.minimumCount = minimumCount
    this.random = random
    this.decays = Float64Array.from({ length: powers }, (_, count) => decay ** count)
    this.fingerprints = new Uint32Array(this.width * this.depth)
    this.counts = new Uint32Array(this.width * this.depth)
    this.top = MinHeap.make(k, onExpelled)
  }

  add(key: string, increment = 1): boolean {
    if (!(increment > 0)) return this.has(key)
    const length = this.encode(key)
    const fingerprint = murmur3(this.bytes, length, 0)
    let estimate = 0
    for (let row = 0; row < this.depth; row++) {
      const hash = row === 0 ? fingerprint : murmur3(this.bytes, length, row)
      estimate = Math.max(estimate, this.count(row * this.width + (hash % this.width), fingerprint, increment))
    }
    this.added += increment
    return estimate >= this.minimumCount && this.top.offer(key, estimate)
  }

  has(key: string): boolean {
    return this.top.has(key)
  }

  list(): ReadonlyArray<Item> {
    return this.top.list()
  }

  fade(): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i] = this.counts[i]! >>> 1
    this.top.halve()
    this.added = Math.floor(this.added / 2)
  }

  total(): number {
    return this.added
  }

  /** Counts in one row; returns what the counter says of the key, 0 when it is another's. */
  private count(at: number, fingerprint: number, increment: number): number {
    const count = this.counts[at]!
    if (count === 0 || this.fingerprints[at] === fingerprint) {
      this.fingerprints[at] = fingerprint
      return (this.counts[at] = Math.min(maximum, count + increment))
    }
    let left = count
    for (let rest = increment; rest > 0; rest--) {
      if (this.random.nextDoubleUnsafe() >= this.decays[Math.min(left, powers - 1)]!) continue
      if (--left > 0) continue
      this.fingerprints[at] = fingerprint
      return (this.counts[at] = Math.min(maximum, rest))
    }
    this.counts[at] = left
    return 0
  }

  /** Writes the key's bytes where `murmur3` reads them; returns how many there are. */
  private encode(key: string): number {
    if (key.length * 3 > this.bytes.length) this.bytes = new Uint8Array(key.length * 3)
    return encoder.encodeInto(key, this.bytes).written
  }
}
