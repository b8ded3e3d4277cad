/**
 * What P2c knows of a node: latency and success as exponentially weighted moving averages, and the calls that are out at present. Constants and formulas
 * are Kratos'; times are nanoseconds. A cancelled call says nothing of its node and is not counted, where Kratos counts it as a failure.
 */
import type { Attempt } from "./Attempt.ts"

/** The time in which the past loses its weight. */
const TAU = 600_000_000
/** The load of one call on a node of which nothing is known. */
const PENALTY = 100_000
/** Added to every latency, so that what is near is not preferred for fractions of a millisecond. */
const COMPENSATION = 5_000_000
/** Starts of calls that are kept to see the slow ones before they end. */
const SLOTS = 200
/** How long a computed weight holds. */
const CACHED = 5_000_000
const SUCCESS = 1000

export class Ewma {
  /** When it was picked last. */
  lastPick = Number.NEGATIVE_INFINITY
  private lag = 0
  /** A call has ended. */
  private known = false
  private success = SUCCESS
  private stamp = 0
  private inFlight = 1
  private requests = 0
  /** Slots hold the start of a call, 0 when empty; `used` are those that are not, in any order, and `place` says where in it a slot is. */
  private readonly starts = new Float64Array(SLOTS)
  private readonly used = new Uint8Array(SLOTS)
  private readonly place = new Uint8Array(SLOTS)
  private open = 0
  private predicted = 0
  private predictedAt = Number.NEGATIVE_INFINITY

  started(attempt: Attempt<unknown>, now: number): void {
    this.lastPick = now
    this.inFlight++
    // how long a stream lasts is not its node's doing
    if (attempt.call.kind !== "unary") return
    const slot = this.requests++ % SLOTS
    attempt.mark = now
    if (this.starts[slot] !== 0) return
    attempt.slot = slot
    this.starts[slot] = now
    this.place[slot] = this.open
    this.used[this.open++] = slot
  }

  ended(attempt: Attempt<unknown>, now: number): void {
    if (attempt.slot >= 0) this.clear(attempt.slot)
    this.inFlight--
    const { outcome } = attempt
    if (outcome === "cancelled" || outcome === "unprocessed") return
    const keep = this.known ? Math.exp(-Math.max(0, now - this.stamp) / TAU) : 0
    this.stamp = now
    this.known = true
    this.success = this.success * keep + (outcome === "failure" ? 0 : SUCCESS) * (1 - keep)
    if (attempt.call.kind !== "unary") return
    const old = this.lag === 0 ? 0 : keep
    this.lag = Math.floor(this.lag * old + Math.max(0, now - attempt.mark) * (1 - old))
  }

  /** The higher, the sooner it should be picked. */
  weight(now: number): number {
    // rounded, where Kratos rounds down at every call: from 999 a node that has failed once would never come back
    return (Math.round(this.success) * SUCCESS * 10) / this.load(now)
  }

  private load(now: number): number {
    if (!this.known) return PENALTY * this.inFlight
    if (now - this.predictedAt > CACHED) {
      this.predicted = this.predict(now)
      this.predictedAt = now
    }
    return Math.floor(Math.sqrt(Math.max(this.lag, this.predicted) + COMPENSATION)) * this.inFlight
  }

  /** The mean age of the calls that are out longer than the average, when they are the most of them; else 0. */
  private predict(now: number): number {
    let slow = 0
    let total = 0
    for (let i = 0; i < this.open; i++) {
      const age = now - this.starts[this.used[i]!]!
      if (age > this.lag) {
        slow++
        total += age
      }
    }
    return slow > Math.floor(this.open / 2) ? total / slow : 0
  }

  private clear(slot: number): void {
    const at = this.place[slot]!
    const last = this.used[--this.open]!
    this.used[at] = last
    this.place[last] = at
    this.starts[slot] = 0
  }
}
