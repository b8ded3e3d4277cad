/**
 * A circuit breaker that needs no threshold of errors: client-side throttling of the Google SRE book, chapter "Handling Overload".
 * A call is rejected with the probability
 *
 *     p = max(0, (requests − k · accepts) / (requests + 1))
 *
 * over a rolling window, where `requests` holds what was sent and what was rejected here. Nothing is rejected while the window holds
 * fewer than `minimumRequests`.
 *
 * The formula alone is slow to notice that a backend is back: what it rejected keeps `requests` high, so at 1,000 calls a second it needs
 * more than ten seconds. Therefore, once it rejects nine of ten calls, the breaker opens: a probe goes through each `probeInterval`, and
 * nothing else. Rejections are not counted any more. A probe that succeeds forgets the window and lets traffic back in, a share that grows
 * from nothing to all of it during `ramp`; if failures prevail among the first of them, the breaker opens again. What a call that
 * was let through before such a change says, is about a time that is over, and ignored. `recovery: "formula"` is the formula alone.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as RollingWindow from "./RollingWindow.ts"

export interface Recovery {
  /** How often a probe goes through while the breaker is open; each wait is up to a fifth longer, so that clients do not probe together. 1 second. */
  readonly probeInterval?: Duration.Input | undefined
  /** How long traffic takes to come back after a probe has succeeded. 2 seconds. */
  readonly ramp?: Duration.Input | undefined
}

export interface Options {
  /** How many calls may be sent for each one accepted, at least 1: with 2 half of them may fail before any is rejected. Lower is stricter. 2. */
  readonly k?: number | undefined
  /** How many calls the window must hold before any is rejected; at least 1. 20. */
  readonly minimumRequests?: number | undefined
  /** 3 seconds. */
  readonly window?: Duration.Input | undefined
  /** 10. */
  readonly buckets?: number | undefined
  /** How the breaker finds out that a backend is back. By default with probes and a ramp. */
  readonly recovery?: Recovery | "formula" | undefined
}

/** The formula alone with the constants of Kratos v3. */
export const kratos: Options = { k: 2, minimumRequests: 20, window: "3 seconds", buckets: 10, recovery: "formula" }

/** The formula alone with the constants of aegis: a success ratio of 0.6. */
export const aegis: Options = { k: 1 / 0.6, minimumRequests: 100, window: "3 seconds", buckets: 10, recovery: "formula" }

/** What `tryAcquire` hands out: 0 for a rejected call, else what `succeed` or `fail` wants to see of it. */
export type Ticket = number

export type State = "closed" | "open" | "recovering"

export interface SreBreaker {
  /** Decides about a call and counts it if it is rejected: 0. A call that is let through ends with `succeed`, with `fail`, or unreported when its end says nothing about the backend. */
  readonly tryAcquire: (now: number) => Ticket
  readonly succeed: (now: number, ticket: Ticket) => void
  readonly fail: (now: number, ticket: Ticket) => void
  /** The probability with which a call at `now` would be rejected. */
  readonly rejection: (now: number) => number
  readonly state: () => State
}

/** A call that was not sent. */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("@effect-kratos/aegis/CircuitOpen")("CircuitOpen", {}) {
  override readonly message = "rejected by the circuit breaker"
}

/** The formula: the probability with which a call is rejected. */
export const probability = (accepts: number, requests: number, k: number, minimumRequests: number): number =>
  requests < minimumRequests ? 0 : Math.max(0, (requests - k * accepts) / (requests + 1))

/** A breaker with the fiber's `Random`. */
export const make = (options: Options = {}): Effect.Effect<SreBreaker> =>
  Effect.contextWith((context: Context.Context<never>) => Effect.succeed(makeUnsafe(options, Context.get(context, Random.Random))))

/** A breaker with the `Random` that is given. */
export const makeUnsafe = (options: Options, random: Random.Random): SreBreaker => new Breaker(options, random)

export interface ProtectOptions<A, E> {
  /** Which ends count as a failure of the backend. All but successes and interrupts, which count as neither. */
  readonly isFailure?: ((exit: Exit.Exit<A, E>) => boolean) | undefined
}

/** Sends a call through the breaker. */
export const protect =
  (self: SreBreaker) =>
  <A, E, R>(call: Effect.Effect<A, E, R>, options: ProtectOptions<A, E> = {}): Effect.Effect<A, E | CircuitOpen, R> =>
    Clock.clockWith((clock): Effect.Effect<A, E | CircuitOpen, R> => {
      const ticket = self.tryAcquire(clock.currentTimeMillisUnsafe())
      if (ticket === 0) return Effect.fail(new CircuitOpen())
      const isFailure = options.isFailure ?? Exit.isFailure
      return Effect.onExit(call, (exit) => {
        // an interrupted call says nothing about the backend
        if (!Exit.hasInterrupts(exit)) self[isFailure(exit) ? "fail" : "succeed"](clock.currentTimeMillisUnsafe(), ticket)
        return Effect.void
      })
    })

/** Where the formula's own probability opens the breaker. */
const openAt = 0.9
/** Where it opens again while traffic comes back, and from how many calls on: a relapse costs a handful of them. */
const relapseAt = 0.5
const relapseRequests = 5
const jitter = 0.2
/** Tickets stay small integers, which are not allocated. */
const lastTicket = 2 ** 30 - 1

class Breaker implements SreBreaker {
  private readonly k: number
  private readonly minimumRequests: number
  private readonly history: RollingWindow.RollingWindow
  private readonly random: Random.Random
  private readonly byFormula: boolean
  private readonly probeMillis: number
  private readonly rampMillis: number
  private current: State = "closed"
  private ticket: Ticket = 1
  /** When the last probe went through or, until the first one, when the breaker opened. */
  private probed = 0
  /** How long the next probe waits. */
  private wait = 0
  private rampStart = 0

  constructor(options: Options, random: Random.Random) {
    const { buckets = 10, k = 2, minimumRequests = 20, recovery = {}, window = "3 seconds" } = options
    this.k = Math.max(1, k)
    this.minimumRequests = Math.max(1, minimumRequests)
    this.history = RollingWindow.make({ window, buckets })
    this.random = random
    this.byFormula = recovery === "formula"
    const { probeInterval = "1 second", ramp = "2 seconds" } = recovery === "formula" ? {} : recovery
    this.probeMillis = Math.max(1, Duration.toMillis(probeInterval))
    this.rampMillis = Math.max(1, Duration.toMillis(ramp))
  }

  state(): State {
    return this.current
  }

  rejection(now: number): number {
    if (this.current === "open") return this.isProbe(now) ? 0 : 1
    if (this.current === "recovering") return 1 - this.share(now)
    return probability(this.history.sum(now), this.history.count(now), this.k, this.minimumRequests)
  }

  tryAcquire(now: number): Ticket {
    if (this.current === "open") return this.probe(now)
    if (this.current === "recovering") {
      const share = this.share(now)
      if (share < 1) return this.random.nextDoubleUnsafe() < share ? this.ticket : 0
      this.current = "closed"
    }
    const p = probability(this.history.sum(now), this.history.count(now), this.k, this.minimumRequests)
    if (p === 0) return this.ticket
    if (p >= openAt && !this.byFormula) {
      this.open(now)
      return 0
    }
    if (this.random.nextDoubleUnsafe() >= p) return this.ticket
    this.history.add(now, 0)
    return 0
  }

  succeed(now: number, ticket: Ticket): void {
    if (ticket !== this.ticket) return
    if (this.current === "open") {
      this.history.reset()
      this.current = "recovering"
      this.rampStart = now
      this.turn()
    }
    this.history.add(now, 1)
  }

  fail(now: number, ticket: Ticket): void {
    if (ticket !== this.ticket || this.current === "open") return
    this.history.add(now, 0)
    if (this.current !== "recovering") return
    if (probability(this.history.sum(now), this.history.count(now), this.k, relapseRequests) >= relapseAt) this.open(now)
  }

  private open(now: number): void {
    this.current = "open"
    this.history.reset()
    this.probed = now
    this.delay()
    this.turn()
  }

  private isProbe(now: number): boolean {
    // a clock that was set back must not keep the breaker from probing
    return now - this.probed >= this.wait || now < this.probed
  }

  private probe(now: number): Ticket {
    if (!this.isProbe(now)) return 0
    this.probed = now
    this.delay()
    return this.ticket
  }

  private delay(): void {
    this.wait = this.probeMillis * (1 + jitter * this.random.nextDoubleUnsafe())
  }

  /** From now on calls let through before say nothing. */
  private turn(): void {
    this.ticket = this.ticket === lastTicket ? 1 : this.ticket + 1
  }

  private share(now: number): number {
    if (now < this.rampStart) this.rampStart = now
    return (now - this.rampStart) / this.rampMillis
  }
}
