/**
 * A limiter for servers of one thread, which have no queue to measure but the lateness of their event loop. While a delay stands, it admits
 * calls at a rate that is corrected so that the delay becomes `target`:
 *
 *     rate = base · (1 + (target − delay) / horizon)
 *
 * `base` begins as the departure rate: calls ended for each second in which the loop was *active*, so that what an idle loop could do besides
 * counts, too. From then on it follows the delay slowly, and grows while the loop waits for events although calls are refused. That is the
 * pacing of TCP BBR (a gain on the bandwidth seen) with the feedback of PIE (RFC 8033: the delay against a target, proportional and
 * integral); when to begin is CoDel's criterion (RFC 8289): the *least* delay of an interval, so that a burst which the server works off by
 * itself costs nobody a call. It ends when a second has passed in which next to nothing was refused.
 *
 * Tokens are given out once for each turn of the loop: what is read in one turn has waited together, and handlers that compute before
 * they first wait would earn the tokens for the calls behind them. With several classes, a class has what those before it leave of the
 * rate, as in DAGOR (Zhou et al., SoCC 2018), whatever the order in which their calls come.
 */
import * as Duration from "effect/Duration"
import type * as EventLoop from "./EventLoop.ts"

export interface Options {
  /** The delay that must stand for limiting to begin. 20 ms. */
  readonly onset?: Duration.Input | undefined
  /** The delay that is kept while limiting. Shorter than what comes at once takes, it leaves the loop idle. 10 ms. */
  readonly target?: Duration.Input | undefined
  /** Calls that may be admitted at once, as the time in which the rate gives as many: no shorter than the loop usually waits for more calls. 20 ms. */
  readonly burst?: Duration.Input | undefined
  /** Classes of calls; class 0 is the most important. 1. */
  readonly classes?: number | undefined
}

export interface Snapshot {
  /** Whether calls are refused at present. */
  readonly limiting: boolean
  /** Calls a second that the loop can do, by what was seen lately; 0 when nothing was. */
  readonly capacity: number
  /** Calls a second that are admitted; infinite while not limiting. */
  readonly rate: number
  /** Milliseconds. */
  readonly delay: number
}

export interface DelayLimiter {
  /** Admits a call of a class (0 unless given), which must end with `done`, or refuses it. */
  readonly tryAcquire: (now: number, rank?: number) => boolean
  /** The end of an admitted call that began at `start`, however it ended: it has taken its time. */
  readonly done: (start: number, now: number) => void
  readonly snapshot: () => Snapshot
}

/** A limiter for the loop that is given. */
export const make = (options: Options, loop: EventLoop.Shape): DelayLimiter => new Limiter(options, loop)

/** Milliseconds between two corrections of the rate. */
const INTERVAL = 20
/** Milliseconds after which what was seen weighs half. */
const HALF_LIFE = 100
/** The shortest time in which a delay is to be corrected, and the longest, in milliseconds; between them it is twice the time that calls take. */
const HORIZON = 100
const MAX_HORIZON = 2000
/** The least and the most of the base rate that is admitted, and from which share on the base is corrected as well: below it, a backlog is worked off. */
const LEAST = 0.1
const MOST = 1.1
const CORRECTED = 0.5
/** How much of the base is corrected in a second, at most, for a delay that is not the target. */
const DRIFT = 0.25
/** The share of time that the loop may wait for events while calls are refused. */
const IDLE = 0.02
/** Milliseconds of which at most `CALM` may have been refused for limiting to end. */
const WATCH = 1000
const CALM = 0.05

class Limiter implements DelayLimiter {
  private readonly loop: EventLoop.Shape
  private readonly onset: number
  private readonly target: number
  private readonly burst: number
  /** By class: calls a millisecond, and calls that may come now. */
  private readonly rates: Float64Array
  private readonly tokens: Float64Array
  /** By class: calls since the last correction, and those lately. */
  private readonly arrived: Float64Array
  private readonly arrivals: Float64Array
  private limiting = false
  /** Calls a millisecond that the loop can do beside the refusals, as far as is known; and what is admitted. */
  private base = 0
  private rate = Number.POSITIVE_INFINITY
  /** Calls refused since the last correction. */
  private dropped = 0
  private turn = Number.NaN
  private corrected = 0
  /** Since the last correction: calls that ended, and how long they took in all. */
  private ended = 0
  private took = 0
  /** Lately: calls that ended, how long they took in all, active time, time. */
  private endings = 0
  private durations = 0
  private active = 0
  private span = 0
  private lastActive = 0
  /** Since `watched`. */
  private watched = 0
  private asked = 0
  private refused = 0

  constructor(options: Options, loop: EventLoop.Shape) {
    const { burst = 20, classes = 1, onset = 20, target = 10 } = options
    this.loop = loop
    this.onset = Duration.toMillis(onset)
    this.target = Duration.toMillis(target)
    this.burst = Duration.toMillis(burst)
    this.rates = new Float64Array(classes)
    this.tokens = new Float64Array(classes)
    this.arrived = new Float64Array(classes)
    this.arrivals = new Float64Array(classes)
  }

  tryAcquire(now: number, rank = 0): boolean {
    const turn = this.loop.turn(now)
    if (turn !== this.turn) this.advance(turn)
    this.arrived[rank]!++
    if (!this.limiting) return true
    this.asked++
    if (this.tokens[rank]! >= 1) {
      this.tokens[rank]!--
      return true
    }
    this.refused++
    this.dropped++
    return false
  }

  done(start: number, now: number): void {
    this.ended++
    this.took += Math.min(MAX_HORIZON, Math.max(0, now - start))
  }

  snapshot(): Snapshot {
    return { limiting: this.limiting, capacity: this.capacity() * 1000, rate: this.rate * 1000, delay: this.loop.delay() }
  }

  /** Another turn. */
  private advance(now: number): void {
    const elapsed = now - this.turn
    this.turn = now
    // the first call of all, or a clock that was set back
    if (!(elapsed >= 0)) return this.restart(now)
    if (now - this.corrected >= INTERVAL) this.correct(now)
    if (!this.limiting) return
    for (let i = 0; i < this.tokens.length; i++) {
      const rate = this.rates[i]!
      // a class that has nothing left does not save for its next call either
      this.tokens[i] = rate === 0 ? 0 : Math.min(Math.max(1, rate * this.burst), this.tokens[i]! + rate * elapsed)
    }
  }

  private restart(now: number): void {
    this.corrected = now
    this.watched = now
    this.lastActive = this.loop.active()
  }

  private correct(now: number): void {
    const elapsed = now - this.corrected
    const past = 2 ** (-elapsed / HALF_LIFE)
    const active = this.loop.active()
    this.endings = this.endings * past + this.ended
    this.durations = this.durations * past + this.took
    this.active = this.active * past + Math.max(0, active - this.lastActive)
    this.span = this.span * past + elapsed
    for (let i = 0; i < this.arrived.length; i++) {
      this.arrivals[i] = this.arrivals[i]! * past + this.arrived[i]!
      this.arrived[i] = 0
    }
    this.ended = 0
    this.took = 0
    this.lastActive = active
    this.corrected = now
    // nobody has come for a second: what was refused before says nothing of now
    if (elapsed >= WATCH) this.refused = 0
    this.decide(now)
    if (this.limiting) this.pace(elapsed)
    this.dropped = 0
  }

  /** Whether to limit. */
  private decide(now: number): void {
    const stands = this.loop.standing() > this.onset
    if (!this.limiting) {
      // without a call that has ended nobody knows what to admit
      this.limiting = stands && this.capacity() > 0
      if (!this.limiting) return
      // nothing has been refused yet: all of the active time was for calls
      this.base = this.capacity()
      this.watch(now)
      return
    }
    if (now - this.watched < WATCH) return
    if (!stands && this.refused <= this.asked * CALM) {
      this.limiting = false
      this.rate = Number.POSITIVE_INFINITY
      this.tokens.fill(0)
    }
    this.watch(now)
  }

  private watch(now: number): void {
    this.watched = now
    this.asked = 0
    this.refused = 0
  }

  /** Corrects the rate, and divides it among the classes. */
  private pace(elapsed: number): void {
    // what is decided now shows when the calls that are admitted have come to their work
    const horizon = Math.min(MAX_HORIZON, Math.max(HORIZON, (2 * this.durations) / Math.max(1, this.endings)))
    const early = this.target - this.loop.delay()
    const gain = Math.min(MOST, Math.max(LEAST, 1 + early / horizon))
    if (gain > CORRECTED) {
      const step = (elapsed * HORIZON) / horizon
      this.base *= 1 + (Math.min(1, Math.max(-1, early / this.target)) * DRIFT * step) / 1000
      const idle = 1 - this.active / this.span
      if (this.dropped > 0 && early > 0 && idle > IDLE) this.base *= 1 + (Math.min(1, idle) * step) / HORIZON
    }
    this.rate = this.base * gain
    let left = this.rate
    for (let i = 0; i < this.rates.length; i++) {
      this.rates[i] = left
      left = Math.max(0, left - this.arrivals[i]! / this.span)
    }
  }

  /** Calls a millisecond that the loop can do. */
  private capacity(): number {
    return this.active > 0 ? this.endings / this.active : 0
  }
}
