/**
 * Refuses calls that are too many: 429 `RATELIMIT`, before there is a fiber for them, so that a server under overload has its time for the
 * calls that it admits.
 *
 * `bbr` admits as many as the service has lately shown to manage: while the event loop is late, at the rate at which calls leave; where that
 * is not measured, while the processor is busy, as many at a time as have fitted (Kratos' default limiter, `aegis`). With `priorities` it sheds
 * the cheap first. `tokens` gives each operation or each caller a rate of its own and says when to come again, as
 * `google.rpc.RetryInfo`, `grpc-retry-pushback-ms` and `retry-after`. A call counts until its end, a stream until its last message.
 */
import * as BbrLimiter from "@effect-kratos/aegis/BbrLimiter"
import { CpuUsage, type Shape as CpuUsageShape } from "@effect-kratos/aegis/CpuUsage"
import * as DelayLimiter from "@effect-kratos/aegis/DelayLimiter"
import * as TokenBucket from "@effect-kratos/aegis/TokenBucket"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Aspect from "../Aspect.ts"
import type { CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"
import * as StandardDetails from "../error/StandardDetails.ts"
import * as Priority from "./Priority.ts"

/** The reason of the error, code 429. */
export const reason = "RATELIMIT"

const message = "service unavailable due to rate limit exceeded"

/** From where on calls of a class are shed by the limit on calls in flight. By the delay of the event loop, a class has what those above it leave. */
export interface Threshold {
  /** Permille of the processor from which on the limit applies to the class. */
  readonly cpu: number
  /** The class is refused when more calls are in flight than this share of what the limiter thinks fits. */
  readonly share: number
}

/** `CRITICAL` is what a limiter without priorities does; the cheap give way earlier, and what must not fail later. */
export const thresholds: Readonly<Record<Priority.Priority, Threshold>> = {
  CRITICAL_PLUS: { cpu: 900, share: 1.25 },
  CRITICAL: { cpu: 800, share: 1 },
  SHEDDABLE_PLUS: { cpu: 700, share: 0.75 },
  SHEDDABLE: { cpu: 600, share: 0.5 }
}

export interface BbrOptions extends BbrLimiter.Options {
  /**
   * What says that the service is busy. `loop`: the delay of the event loop, and calls are admitted at the rate at which they leave
   * (`DelayLimiter`); where it is not measured, as `cpu`. `cpu`: the processor, as in Kratos, and the limit is on calls in flight. Default `loop`.
   */
  readonly signal?: "loop" | "cpu" | undefined
  /** For `loop`: from which delay on, and which delay is kept. */
  readonly delay?: Omit<DelayLimiter.Options, "classes"> | undefined
  /** Sheds calls by their class: `true` for the thresholds above, or some of them otherwise. Default: all calls are alike. */
  readonly priorities?: boolean | Partial<Record<Priority.Priority, Threshold>> | undefined
  /** Called for every refused call. Must be quick: it runs when there is no time. */
  readonly onRejected?: ((call: CallShape) => void) | undefined
}

/** What the limiter that was used last sees, for metrics and tests; undefined before the first call. */
export interface Bbr extends Aspect.Aspect<KratosError.KratosError, CpuUsage> {
  readonly snapshot: (now: number) => Snapshot | undefined
}

export interface Snapshot extends BbrLimiter.Snapshot {
  /** What the limiter of the event loop's delay does; undefined where the processor is looked at. */
  readonly loop: DelayLimiter.Snapshot | undefined
}

/** One limiter for all calls that go through the aspect in a program, which is to say: for each `CpuUsage`. */
export const bbr = (options: BbrOptions = {}): Bbr => {
  const { delay, onRejected, priorities = false, signal = "loop" } = options
  const refused = Aspect.reject(KratosError.tooManyRequests(reason, message))
  const make = (usage: CpuUsageShape): Limiting => {
    const paced =
      signal === "loop" && usage.loop !== undefined
        ? DelayLimiter.make({ ...delay, classes: priorities === false ? 1 : Priority.all.length }, usage.loop)
        : undefined
    // with either, it is not the limiter that looks at the processor
    const limits = priorities === false && paced === undefined ? options : { ...options, cpuThreshold: Infinity }
    const gates = priorities === false || paced !== undefined ? undefined : gatesOf(priorities === true ? {} : priorities)
    return { usage, limiter: BbrLimiter.makeUnsafe(limits, usage), paced, gates }
  }
  const others = new WeakMap<CpuUsageShape, Limiting>()
  let last: Limiting | undefined
  const limitingOf = (usage: CpuUsageShape): Limiting => {
    if (last !== undefined && last.usage === usage) return last
    let found = others.get(usage)
    if (found === undefined) others.set(usage, (found = make(usage)))
    return (last = found)
  }
  const aspect = Aspect.observe<number, KratosError.KratosError, CpuUsage>({
    start: (call, services) => {
      const now = clockOf(services)
      const { gates, limiter, paced, usage } = limitingOf(Context.get(services, CpuUsage))
      const gate = gates?.get(priorityOf(call, services))
      const admitted =
        paced === undefined
          ? gate?.isShut(limiter, usage.permille(), now) !== true
          : paced.tryAcquire(now, priorities === false ? 0 : Priority.rank(priorityOf(call, services)))
      if (admitted && limiter.tryAcquire(now)) return now
      onRejected?.(call)
      return refused
    },
    end: (_call, exit, start, services) => {
      const { limiter, paced } = limitingOf(Context.get(services, CpuUsage))
      const now = clockOf(services)
      paced?.done(start, now)
      // a call that its client gave up says nothing of what the service can do
      if (Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)) limiter.cancel()
      else limiter.done(start, now)
    }
  })
  const snapshot = (now: number) => (last === undefined ? undefined : { ...last.limiter.snapshot(now), loop: last.paced?.snapshot() })
  return Object.assign(aspect, { snapshot })
}

interface Limiting {
  readonly usage: CpuUsageShape
  readonly limiter: BbrLimiter.BbrLimiter
  readonly paced: DelayLimiter.DelayLimiter | undefined
  readonly gates: ReadonlyMap<Priority.Priority, Gate> | undefined
}

/** The defaults. `bbr({ signal: "cpu" })` is what Kratos does. */
export const server: Bbr = bbr()

/** A threshold of a class, which holds on for a second after it has begun to refuse, as the limiter does. */
class Gate {
  private readonly threshold: Threshold
  private shutAt = Number.NaN

  constructor(threshold: Threshold) {
    this.threshold = threshold
  }

  isShut(limiter: BbrLimiter.BbrLimiter, permille: number, now: number): boolean {
    if (permille < this.threshold.cpu) {
      if (!(now - this.shutAt <= COOL_DOWN)) {
        this.shutAt = Number.NaN
        return false
      }
      return this.isFull(limiter, now)
    }
    const full = this.isFull(limiter, now)
    if (full && Number.isNaN(this.shutAt)) this.shutAt = now
    return full
  }

  private isFull(limiter: BbrLimiter.BbrLimiter, now: number): boolean {
    const running = limiter.inFlight()
    return running > 1 && running > limiter.maxInFlight(now) * this.threshold.share
  }
}

/** Milliseconds. */
const COOL_DOWN = 1000

const gatesOf = (given: Partial<Record<Priority.Priority, Threshold>>): ReadonlyMap<Priority.Priority, Gate> =>
  new Map(Priority.all.map((priority) => [priority, new Gate(given[priority] ?? thresholds[priority])]))

/** What `Priority.server` has taken over, or else what the call claims. */
const priorityOf = (call: CallShape, services: Context.Context<never>): Priority.Priority =>
  Context.get(services, Priority.Current) ?? Priority.claimed(call) ?? "CRITICAL"

export interface TokensOptions<R = never> extends TokenBucket.KeyedOptions {
  /**
   * Which calls share a bucket. Default: those of one operation. By caller: `RateLimit.byPeer`, or the claims that `Auth` has put among the services
   * of the call. How many keys are kept is bounded by `capacity`.
   */
  readonly key?: ((call: CallShape, services: Context.Context<R>) => string) | undefined
  /** What a call costs. Default 1. */
  readonly cost?: ((call: CallShape) => number) | undefined
  /** Called for every refused call. */
  readonly onRejected?: ((call: CallShape) => void) | undefined
}

/** A bucket of tokens for each key: on a server what it gives, on a client what it takes. */
export const tokens = <R = never>(options: TokensOptions<R>): Aspect.Aspect<KratosError.KratosError, R> => {
  const { cost, key = byOperation, onRejected } = options
  const buckets = TokenBucket.makeKeyed(options)
  return Aspect.observe<undefined, KratosError.KratosError, R>({
    start: (call, services) => {
      const wait = buckets.tryTake(key(call, services), clockOf(services), cost?.(call))
      if (wait === 0) return undefined
      onRejected?.(call)
      return Aspect.reject(Number.isFinite(wait) ? comeAgain(call, Math.ceil(wait)) : KratosError.tooManyRequests(reason, message))
    },
    end: () => undefined
  })
}

/** One bucket for all calls of an operation. */
export const byOperation = (call: CallShape): string => call.operation

/** One bucket for each address, without its port: on a server the caller's. */
export const byPeer = ({ peer }: CallShape): string => peer.replace(/:\d+$/, "")

/** One bucket for each value of a header. Only for headers that a proxy in front sets, or that have been verified: a caller could change it with each call. */
export const byHeader = (name: string): ((call: CallShape) => string) => {
  const lower = name.toLowerCase()
  return ({ request }) => request.get(lower)?.[0] ?? ""
}

/** The refusal, and what tells clients of every kind when to come again. */
const comeAgain = (call: CallShape, millis: number): KratosError.KratosError => {
  if (call.side === "server") {
    if (call.transport === "http") call.reply.set("retry-after", [String(Math.ceil(millis / 1000))])
    else call.trailers.set("grpc-retry-pushback-ms", [String(millis)])
  }
  return KratosError.tooManyRequests(reason, message, { details: [StandardDetails.retryInfo(millis)] })
}

const clockOf = (services: Context.Context<never>): number => Context.get(services, Clock.Clock).currentTimeMillisUnsafe()
