import type { Limits } from "../Limits.ts"

/** A window is too small when the peer fills so much of it in one round trip: it is opened by halves, and the half that has been announced may be all that is full. */
const FULL = 0.45
/** Round trips of one measurement: data comes by half windows, of which one more or less may fall into it. */
const TRIPS = 2
/** A larger window that lets no more than so much more through was not what held the peer back. */
const BETTER = 1.2
/** Shortest round trip that is believed, milliseconds: clocks that count whole ones give 0 as well as 1. */
const SHORTEST = 1

/**
 * Lets receive windows grow to the bandwidth-delay product, so that a long fat pipe is full. When half a window has been consumed, pings measure what
 * comes in a round trip; if that fills the window, and more came per second than when windows grew last, they double. What the streams of a
 * connection have together beyond their initial windows stays within `maxWindowSize`: it bounds what a peer can make us hold.
 */
export class WindowGrowth {
  /** Bytes that the window of a stream should have. */
  target: number
  private readonly initial: number
  private readonly most: number
  /** Bytes by which windows may still grow. */
  private left: number
  private readonly now: () => number
  private readonly ping: (callback: (acknowledged: boolean) => void) => boolean
  private measuring = false
  private sample = 0
  private startedAt = 0
  private trips = 0
  private bestRate = 0

  constructor(limits: Limits, now: () => number, ping: (callback: (acknowledged: boolean) => void) => boolean) {
    this.target = this.initial = limits.initialWindowSize
    this.most = Math.max(limits.maxWindowSize, this.initial)
    this.left = this.most - this.initial
    this.now = now
    this.ping = ping
  }

  /** Bytes by which windows have been found too small. */
  get extra(): number {
    return this.target - this.initial
  }

  onData(bytes: number): void {
    if (this.measuring) this.sample += bytes
  }

  /** A receiver has consumed half a window of `window` bytes; returns by how much the window grows. */
  onHalf(window: number): number {
    if (!this.measuring && this.target < this.most && this.ping(this.onPong)) {
      this.measuring = true
      this.sample = this.trips = 0
      this.startedAt = this.now()
    }
    const more = Math.min(this.target - window, this.left)
    if (more <= 0) return 0
    this.left -= more
    return more
  }

  /** A stream that had grown is gone. */
  giveBack(bytes: number): void {
    this.left += bytes
  }

  private readonly onPong = (acknowledged: boolean): void => {
    if (acknowledged && ++this.trips < TRIPS && this.ping(this.onPong)) return
    this.measuring = false
    if (this.trips < TRIPS) return
    const rate = this.sample / Math.max(SHORTEST, this.now() - this.startedAt)
    if (rate < this.bestRate * BETTER) return
    this.bestRate = rate
    if (this.sample >= this.target * FULL * TRIPS) this.target = Math.min(this.most, 2 * this.target)
  }
}
