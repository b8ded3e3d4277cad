/**
 * An adaptive limit on concurrency for servers, after the idea of TCP BBR as Sentinel and Kratos apply it: the best throughput seen lately
 * times the lowest latency seen lately is how many calls fit into the service at once (Little's law).
 *
 *     maxInFlight = ⌊ maxPass · minRt · bucketsPerSecond / 1000 ⌋
 *
 * `maxPass` is the highest count of calls completed in one bucket, `minRt` the lowest mean latency of a bucket in milliseconds, rounded
 * up; both at least 1, both without the incomplete bucket, both kept for the length of a bucket. The limit applies while the processor is
 * busier than `cpuThreshold`, and for a second after calls have begun to be dropped for that.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as CpuUsage from "./CpuUsage.ts"
import * as RollingWindow from "./RollingWindow.ts"

export interface Options {
  /** 10 seconds. */
  readonly window?: Duration.Input | undefined
  /** 100, so that a bucket is 100 ms. */
  readonly buckets?: number | undefined
  /** From which permille of the processor on the limit applies. 800. */
  readonly cpuThreshold?: number | undefined
}

/** The constants of Kratos v3, which are those of aegis, and the defaults. */
export const kratos: Options = { window: "10 seconds", buckets: 100, cpuThreshold: 800 }

export interface Snapshot {
  /** Permille. */
  readonly cpu: number
  readonly inFlight: number
  readonly maxInFlight: number
  /** Milliseconds. */
  readonly minRt: number
  readonly maxPass: number
}

export interface BbrLimiter {
  /** Admits a call, which must end with `done` or `cancel`, or drops it. */
  readonly tryAcquire: (now: number) => boolean
  /** The end of an admitted call that began at `start`. */
  readonly done: (start: number, now: number) => void
  /** The end of an admitted call that says nothing about what the service can do, such as one that its client gave up. */
  readonly cancel: () => void
  readonly maxPass: (now: number) => number
  readonly minRt: (now: number) => number
  readonly maxInFlight: (now: number) => number
  readonly inFlight: () => number
  readonly snapshot: (now: number) => Snapshot
}

/** A call that was not admitted. */
export class Overloaded extends Schema.TaggedError<Overloaded>("@effect-kratos/aegis/Overloaded")("Overloaded", {}) {
  override readonly message = "dropped by the limiter: the service is overloaded"
}

/** A limiter that looks at `CpuUsage`. */
export const make = (options: Options = {}): Effect.Effect<BbrLimiter, never, CpuUsage.CpuUsage> =>
  Effect.map(CpuUsage.CpuUsage, (cpu) => makeUnsafe(options, cpu))

/** A limiter that looks at the usage that is given. */
export const makeUnsafe = (options: Options, cpu: CpuUsage.Shape): BbrLimiter => new Limiter(options, cpu)

/** Sends a call through the limiter. */
export const protect =
  (self: BbrLimiter) =>
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | Overloaded, R> =>
    Clock.clockWith((clock): Effect.Effect<A, E | Overloaded, R> => {
      const start = clock.currentTimeMillisUnsafe()
      if (!self.tryAcquire(start)) return Effect.fail(new Overloaded())
      return Effect.onExit(call, (exit) => {
        if (Exit.hasInterrupts(exit)) self.cancel()
        else self.done(start, clock.currentTimeMillisUnsafe())
        return Effect.void
      })
    })

/** How long the limit goes on after calls have begun to be dropped, whatever the processor does, in milliseconds. */
const coolDown = 1000

class Limiter implements BbrLimiter {
  private readonly cpu: CpuUsage.Shape
  private readonly cpuThreshold: number
  private readonly passes: RollingWindow.RollingWindow
  private readonly latencies: RollingWindow.RollingWindow
  private readonly bucketsPerSecond: number
  private running = 0
  /** When calls began to be dropped; NaN while none are. */
  private dropping = Number.NaN
  private cachedPass = 1
  private passAt = Number.NEGATIVE_INFINITY
  private cachedRt = 1
  private rtAt = Number.NEGATIVE_INFINITY

  constructor(options: Options, cpu: CpuUsage.Shape) {
    const { buckets = 100, cpuThreshold = 800, window = "10 seconds" } = options
    this.cpu = cpu
    this.cpuThreshold = cpuThreshold
    // the window must hold a complete bucket beside the incomplete one
    this.passes = RollingWindow.make({ window, buckets: Math.max(2, buckets) })
    this.latencies = RollingWindow.make({ window, buckets: Math.max(2, buckets) })
    this.bucketsPerSecond = 1000 / this.passes.bucketMillis
  }

  tryAcquire(now: number): boolean {
    if (this.drops(now)) return false
    this.running++
    return true
  }

  done(start: number, now: number): void {
    const elapsed = Math.ceil(now - start)
    if (elapsed > 0) this.latencies.add(now, elapsed)
    this.running--
    this.passes.add(now, 1)
  }

  cancel(): void {
    this.running--
  }

  inFlight(): number {
    return this.running
  }

  maxPass(now: number): number {
    const age = now - this.passAt
    if (age < this.passes.bucketMillis && age >= 0) return this.cachedPass
    let max = 1
    for (let i = 1; i < this.passes.buckets; i++) max = Math.max(max, this.passes.sumAt(now, i))
    this.passAt = now
    this.cachedPass = max
    return max
  }

  minRt(now: number): number {
    const age = now - this.rtAt
    if (age < this.latencies.bucketMillis && age >= 0) return this.cachedRt
    let min = Number.POSITIVE_INFINITY
    for (let i = 1; i < this.latencies.buckets; i++) {
      const count = this.latencies.countAt(now, i)
      if (count > 0) min = Math.min(min, this.latencies.sumAt(now, i) / count)
    }
    this.rtAt = now
    this.cachedRt = min === Number.POSITIVE_INFINITY ? 1 : Math.max(1, Math.ceil(min))
    return this.cachedRt
  }

  maxInFlight(now: number): number {
    return Math.floor((this.maxPass(now) * this.minRt(now) * this.bucketsPerSecond) / 1000)
  }

  snapshot(now: number): Snapshot {
    return {
      cpu: this.cpu.permille(),
      inFlight: this.running,
      maxInFlight: this.maxInFlight(now),
      minRt: this.minRt(now),
      maxPass: this.maxPass(now)
    }
  }

  private drops(now: number): boolean {
    if (this.cpu.permille() < this.cpuThreshold) {
      if (Number.isNaN(this.dropping)) return false
      const since = now - this.dropping
      if (since >= 0 && since <= coolDown) return this.isFull(now)
      this.dropping = Number.NaN
      return false
    }
    const full = this.isFull(now)
    if (full && Number.isNaN(this.dropping)) this.dropping = now
    return full
  }

  private isFull(now: number): boolean {
    return this.running > 1 && this.running > this.maxInFlight(now)
  }
}
