/**
 * How many calls a client should have in flight to a service, found out from latency: Gradient2 of Netflix' concurrency-limits. As long as
 * latency is what it usually is, the limit grows by a small queue a window; when latency rises beyond a tolerance, the limit
 * shrinks in proportion. For every window of samples
 *
 *     gradient = max(0.5, min(1, tolerance · usual / recent))
 *     limit   += smoothing · (limit · gradient + queue − limit)
 *
 * where `recent` is the mean latency of the window and `usual` its exponential average over `longWindow` windows, which falls faster when
 * it is twice too high. A limit of which less than half is used does not change: nothing can be learnt about it. A call that was dropped (refused,
 * timed out) lowers the limit by a tenth, once a window.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

export interface Options {
  /** The limit at the beginning. 20. */
  readonly initial?: number | undefined
  /** The limit is never lower; at least 1. 20. */
  readonly minimum?: number | undefined
  /** The limit is never higher. 200. */
  readonly maximum?: number | undefined
  /** How much slower than usual is not yet slow. 1.5. */
  readonly tolerance?: number | undefined
  /** Weight of a window, 0–1. 0.2. */
  readonly smoothing?: number | undefined
  /** The queue that is asked for on top, in calls. 4. */
  readonly queue?: number | undefined
  /** Over how many windows the usual latency is averaged. 600. */
  readonly longWindow?: number | undefined
  /** The least duration of a window, which holds at least ten samples. 100 ms, so that the usual latency is that of a minute. */
  readonly window?: Duration.Input | undefined
}

export interface ConcurrencyLimit {
  /** Admits a call, which must end with `succeed`, `drop` or `cancel`. */
  readonly tryAcquire: () => boolean
  /** The call that began at `start` has an answer. */
  readonly succeed: (start: number, now: number) => void
  /** The call was refused, or took too long: a sign of overload. */
  readonly drop: (now: number) => void
  /** The call ended without saying anything about load. */
  readonly cancel: () => void
  /** How many calls may be in flight. */
  readonly limit: () => number
  readonly inFlight: () => number
}

/** A call that found the limit reached. */
export class ConcurrencyLimitReached extends Schema.TaggedError<ConcurrencyLimitReached>("@effect-kratos/aegis/ConcurrencyLimitReached")(
  "ConcurrencyLimitReached",
  {}
) {
  override readonly message = "as many calls are in flight as the service can take"
}

export const make = (options: Options = {}): ConcurrencyLimit => new Gradient(options)

export interface ProtectOptions<A, E> {
  /** Which ends are signs of overload. None unless given. */
  readonly isDrop?: ((exit: Exit.Exit<A, E>) => boolean) | undefined
}

/** Sends a call if the limit allows it. */
export const protect =
  (self: ConcurrencyLimit) =>
  <A, E, R>(call: Effect.Effect<A, E, R>, options: ProtectOptions<A, E> = {}): Effect.Effect<A, E | ConcurrencyLimitReached, R> =>
    Clock.clockWith((clock): Effect.Effect<A, E | ConcurrencyLimitReached, R> => {
      if (!self.tryAcquire()) return Effect.fail(new ConcurrencyLimitReached())
      const start = clock.currentTimeMillisUnsafe()
      return Effect.onExit(call, (exit) => {
        if (Exit.hasInterrupts(exit)) self.cancel()
        else if (options.isDrop?.(exit) === true) self.drop(clock.currentTimeMillisUnsafe())
        else self.succeed(start, clock.currentTimeMillisUnsafe())
        return Effect.void
      })
    })

const minimumSamples = 10
/** Windows whose plain mean begins the exponential average. */
const warmUp = 10
const dropFactor = 0.9
/** Milliseconds; below that a clock of milliseconds sees nothing. */
const least = 0.1

class Gradient implements ConcurrencyLimit {
  private readonly minimum: number
  private readonly maximum: number
  private readonly tolerance: number
  private readonly smoothing: number
  private readonly queue: number
  private readonly longWindow: number
  private readonly windowMillis: number
  private estimate: number
  private running = 0
  /** The window that is being filled. */
  private windowStart = Number.NaN
  private latencies = 0
  private samples = 0
  private highest = 0
  private dropped = false
  /** The usual latency, and how many windows are in it. */
  private usual = 0
  private windows = 0

  constructor(options: Options) {
    const { initial = 20, longWindow = 600, maximum = 200, minimum = 20, queue = 4, smoothing = 0.2, tolerance = 1.5 } = options
    this.minimum = Math.max(1, minimum)
    this.maximum = Math.max(this.minimum, maximum)
    this.tolerance = Math.max(1, tolerance)
    this.smoothing = Math.min(1, Math.max(0, smoothing))
    this.queue = Math.max(0, queue)
    this.longWindow = Math.max(1, longWindow)
    this.windowMillis = Duration.toMillis(options.window ?? "100 millis")
    this.estimate = this.clamp(initial)
  }

  limit(): number {
    return Math.floor(this.estimate)
  }

  inFlight(): number {
    return this.running
  }

  tryAcquire(): boolean {
    if (this.running >= Math.floor(this.estimate)) return false
    this.running++
    if (this.running > this.highest) this.highest = this.running
    return true
  }

  succeed(start: number, now: number): void {
    this.running--
    this.latencies += Math.max(0, now - start)
    this.samples++
    this.turn(now)
  }

  drop(now: number): void {
    this.running--
    this.dropped = true
    this.samples++
    this.turn(now)
  }

  cancel(): void {
    this.running--
  }

  private turn(now: number): void {
    // also when the clock was set back
    if (!(now >= this.windowStart)) this.windowStart = now
    if (now - this.windowStart < this.windowMillis || this.samples < minimumSamples) return
    if (this.dropped) this.estimate = this.clamp(this.estimate * dropFactor)
    else this.learn(Math.max(least, this.latencies / this.samples))
    this.windowStart = now
    this.latencies = 0
    this.samples = 0
    this.highest = this.running
    this.dropped = false
  }

  private learn(recent: number): void {
    this.windows++
    this.usual += (recent - this.usual) / (this.windows <= warmUp ? this.windows : (this.longWindow + 1) / 2)
    // a time of load has passed
    if (this.usual > 2 * recent) this.usual *= 0.95
    if (this.highest < this.estimate / 2) return
    const gradient = Math.max(0.5, Math.min(1, (this.tolerance * this.usual) / recent))
    this.estimate = this.clamp(this.estimate + this.smoothing * (this.estimate * gradient + this.queue - this.estimate))
  }

  private clamp(limit: number): number {
    return Math.min(this.maximum, Math.max(this.minimum, limit))
  }
}
