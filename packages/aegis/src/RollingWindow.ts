/**
 * What happened lately: a sum and a count over a span of time that moves, kept in buckets of equal length.
 *
 * Buckets begin at multiples of their length, so that windows of the same shape agree about where a bucket ends. The newest bucket is
 * incomplete: the window covers between `buckets − 1` and `buckets` of them. Times are milliseconds of any clock. One that is set
 * back by less than the window adds to the newest bucket; one that is set back further starts an empty window.
 */
import * as Duration from "effect/Duration"

export interface Options {
  /** Length of the window. */
  readonly window: Duration.Input
  /** Into how many buckets it is divided; at least 1. */
  readonly buckets: number
}

export interface RollingWindow {
  readonly buckets: number
  /** Length of a bucket, in milliseconds; at least 1. */
  readonly bucketMillis: number
  /** Adds `value` to the sum and `count` (1 unless given) to the count of the bucket of `now`. */
  readonly add: (now: number, value: number, count?: number) => void
  /** The sum over the window that ends at `now`, the incomplete bucket included. */
  readonly sum: (now: number) => number
  /** The count over the window that ends at `now`, the incomplete bucket included. */
  readonly count: (now: number) => number
  /** The sum of the bucket that ended `age` buckets ago; 0 is the incomplete one, `buckets − 1` the oldest. */
  readonly sumAt: (now: number, age: number) => number
  /** The count of the bucket that ended `age` buckets ago. */
  readonly countAt: (now: number, age: number) => number
  /** Forgets everything. */
  readonly reset: () => void
}

export const make = (options: Options): RollingWindow => {
  const buckets = Math.max(1, Math.floor(options.buckets) || 1)
  return new Ring(buckets, Math.max(1, Duration.toMillis(options.window) / buckets))
}

class Ring implements RollingWindow {
  readonly buckets: number
  readonly bucketMillis: number
  private readonly sums: Float64Array
  private readonly counts: Float64Array
  /** The newest bucket, counted from time 0; its place is the remainder by the number of buckets. */
  private slot = 0
  private end = 0
  private index = 0
  private totalSum = 0
  private totalCount = 0

  constructor(buckets: number, bucketMillis: number) {
    this.buckets = buckets
    this.bucketMillis = bucketMillis
    this.sums = new Float64Array(buckets)
    this.counts = new Float64Array(buckets)
  }

  add(now: number, value: number, count = 1): void {
    this.advance(now)
    this.sums[this.index]! += value
    this.counts[this.index]! += count
    this.totalSum += value
    this.totalCount += count
  }

  sum(now: number): number {
    this.advance(now)
    return this.totalSum
  }

  count(now: number): number {
    this.advance(now)
    return this.totalCount
  }

  sumAt(now: number, age: number): number {
    this.advance(now)
    return this.sums[this.at(age)] ?? 0
  }

  countAt(now: number, age: number): number {
    this.advance(now)
    return this.counts[this.at(age)] ?? 0
  }

  reset(): void {
    this.sums.fill(0)
    this.counts.fill(0)
    this.totalSum = 0
    this.totalCount = 0
  }

  private at(age: number): number {
    if (age >= this.buckets) return -1
    const index = this.index - age
    return index < 0 ? index + this.buckets : index
  }

  private advance(now: number): void {
    if (now < this.end && now >= this.end - this.bucketMillis) return
    const slot = Math.floor(now / this.bucketMillis)
    const passed = slot - this.slot
    if (passed < 0 && passed > -this.buckets) return
    if (passed >= this.buckets || passed < 0) this.reset()
    else {
      for (let i = 0; i < passed; i++) {
        this.index = this.index + 1 === this.buckets ? 0 : this.index + 1
        this.sums[this.index] = 0
        this.counts[this.index] = 0
      }
      // added up anew: subtracting what left would let the rounding errors of fractions pile up
      let sum = 0
      let count = 0
      for (let i = 0; i < this.buckets; i++) {
        sum += this.sums[i]!
        count += this.counts[i]!
      }
      this.totalSum = sum
      this.totalCount = count
    }
    this.slot = slot
    this.end = (slot + 1) * this.bucketMillis
  }
}
