/**
 * Sends a call a second time when the first answer takes long, to another node, and takes whichever comes first ("The Tail at Scale", Dean and Barroso 2013;
 * gRFC A6): it cuts the slowest calls at the price of a few more. Only calls that may be executed more than once are hedged. What is inside of this aspect
 * in a stack runs for each attempt; the attempts that lose are interrupted.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Aspect from "../Aspect.ts"
import { Call, type ClientCall, isClientCall } from "../Call.ts"
import type { Deadline } from "../Deadline.ts"
import * as RetryAdvice from "../error/RetryAdvice.ts"
import { Grpc, type GrpcCode } from "../error/Status.ts"
import * as Metadata from "../Metadata.ts"
import * as Attempts from "./Attempts.ts"
import * as RetryLimit from "./RetryLimit.ts"

export interface Options {
  /** Attempts of a call, the first included. Default 2, at most 5. */
  readonly maxAttempts?: number | undefined
  /** How long an answer may take before another attempt begins; the 95th percentile of the method is a good choice. Default 100 ms. */
  readonly delay?: Duration.Input | undefined
  /** The gRPC codes after which the other attempts go on, and the next one begins at once; any other ends the call. Default UNAVAILABLE. */
  readonly nonFatal?: ReadonlyArray<GrpcCode> | undefined
  /** Calls that may be executed more than once. Default: those whose contract, or whose verb on REST, says so. */
  readonly idempotent?: boolean | Attempts.Idempotent | undefined
  /** Time before the deadline in which no attempt begins. Default 5 ms. */
  readonly reserve?: Duration.Input | undefined
  /** The longest wait that a server may ask for; when it asks for more there is no further attempt. Default 30 seconds. */
  readonly maxPushback?: Duration.Input | undefined
  /** Bytes of a streamed request that are kept; the attempt that has sent more is the only one that goes on. Default 256 KiB. */
  readonly maxRequestBytes?: number | undefined
  /** Default: one of this aspect's own. */
  readonly limit?: RetryLimit.RetryLimit | undefined
}

interface Settings {
  readonly maxAttempts: number
  readonly delay: number
  readonly nonFatal: ReadonlyArray<GrpcCode>
  readonly reserve: number
  readonly maxPushback: number
}

export const make = (options: Options = {}): Aspect.Aspect => {
  const {
    delay = 100,
    idempotent = Attempts.declared,
    limit = RetryLimit.make(),
    maxAttempts = 2,
    maxPushback = 30_000,
    maxRequestBytes = Attempts.MAX_REQUEST_BYTES,
    nonFatal = [Grpc.UNAVAILABLE],
    reserve = 5
  } = options
  const isIdempotent = typeof idempotent === "boolean" ? () => idempotent : idempotent
  const settings: Settings = {
    maxAttempts: Math.min(maxAttempts, Attempts.MOST),
    delay: millis(delay),
    nonFatal,
    reserve: millis(reserve),
    maxPushback: millis(maxPushback)
  }
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      if (!isClientCall(call)) return effect
      const bucket = limit.of(call.endpoint)
      bucket.call(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
      if (settings.maxAttempts < 2 || !isIdempotent(call)) return effect
      call.keep(maxRequestBytes, fiber.context)
      return Effect.onExit(
        Effect.callback<A, E>((resume) => {
          // what the effect needs is in the context of its fiber
          const hedging = new Hedging(effect as Effect.Effect<A, E>, fiber, call, bucket, settings, (exit) => resume(exit))
          hedging.begin()
          return hedging.cancel
        }),
        () => Effect.sync(() => call.release())
      )
    })
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** The attempts of one call. */
class Hedging<A, E> {
  private readonly effect: Effect.Effect<A, E>
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly call: ClientCall
  private readonly request: Metadata.Metadata
  private readonly bucket: RetryLimit.Bucket
  private readonly settings: Settings
  private readonly onEnd: (exit: Exit.Exit<A, E>) => void
  private readonly deadline: Deadline | undefined
  private readonly running = new Map<ClientCall, Fiber.Fiber<A, E>>()
  private timer: Fiber.Fiber<void> | undefined = undefined
  private made = 0
  /** The attempt that has failed last. */
  private last: { readonly attempt: ClientCall; readonly exit: Exit.Exit<A, E>; readonly error: unknown } | undefined = undefined
  /** There will be no more attempts. */
  private closed = false
  private ended = false

  constructor(
    effect: Effect.Effect<A, E>,
    fiber: Fiber.Fiber<unknown, unknown>,
    call: ClientCall,
    bucket: RetryLimit.Bucket,
    settings: Settings,
    onEnd: (exit: Exit.Exit<A, E>) => void
  ) {
    this.effect = effect
    this.fiber = fiber
    this.call = call
    this.request = Metadata.clone(call.request)
    this.bucket = bucket
    this.settings = settings
    this.onEnd = onEnd
    this.deadline = Attempts.deadlineOf(call, fiber.context)
  }

  begin(): void {
    // the first message of a reply decides
    this.call.onCommit((winner) => this.decide(winner))
    this.start(this.call)
  }

  readonly cancel: Effect.Effect<void> = Effect.suspend(() => {
    this.ended = true
    this.close()
    return Fiber.interruptAll(this.running.values())
  })

  private start(attempt: ClientCall): void {
    this.made++
    // it may end before it returns, and with it the call
    this.schedule(this.settings.delay)
    const services = Attempts.servicesOf(this.fiber.context, attempt, this.deadline)
    const fiber = Effect.runForkWith(services)(this.effect)
    this.running.set(attempt, fiber)
    fiber.addObserver((exit) => this.onExit(attempt, exit))
  }

  private schedule(delay: number): void {
    this.timer?.interruptUnsafe()
    this.timer = undefined
    if (this.closed || this.made >= this.settings.maxAttempts) return
    const next = Effect.sync(() => {
      this.timer = undefined
      this.hedge()
      this.settle()
    })
    this.timer = Effect.runForkWith(this.fiber.context)(Effect.delay(next, delay))
  }

  /** Begins another attempt, if there may be one. */
  private hedge(): void {
    if (this.closed || this.made >= this.settings.maxAttempts) return
    const now = this.now()
    const refused: Attempts.Outcome | undefined =
      this.deadline !== undefined && now + this.settings.reserve >= this.deadline
        ? "deadline"
        : this.bucket.tryRetry(now)
          ? undefined
          : "budget"
    Attempts.record(this.fiber, this.call, refused ?? "hedge", this.made)
    if (refused !== undefined) return this.close()
    this.start(this.call.again(this.made, Attempts.requestOf(this.request, this.made)))
  }

  private onExit(attempt: ClientCall, exit: Exit.Exit<A, E>): void {
    // one that has lost is not among them
    if (!this.running.delete(attempt) || this.ended) return
    if (Exit.isSuccess(exit)) {
      this.bucket.succeeded()
      return this.finish(attempt, exit)
    }
    const failure = attempt.committed ? undefined : Attempts.failureOf(exit.cause, attempt, this.now())
    if (failure === undefined) return this.finish(attempt, exit)
    const { advice, code, error } = failure
    const isOver = advice === "never" || (advice !== undefined && advice > this.settings.maxPushback)
    if (isOver) this.close()
    else if (!this.settings.nonFatal.includes(code)) return this.finish(attempt, exit)
    this.bucket.failed()
    if (typeof advice === "number") this.schedule(advice)
    else this.hedge()
    this.last = { attempt, exit, error }
    this.settle()
  }

  /** All attempts have failed, and there will be no other. */
  private settle(): void {
    const { last } = this
    if (this.ended || last === undefined || this.running.size > 0 || this.timer !== undefined) return
    RetryAdvice.markFinal(last.error)
    this.finish(last.attempt, last.exit)
  }

  private close(): void {
    this.closed = true
    this.timer?.interruptUnsafe()
    this.timer = undefined
  }

  private finish(attempt: ClientCall, exit: Exit.Exit<A, E>): void {
    this.ended = true
    this.decide(attempt)
    this.call.adopt(attempt)
    this.onEnd(exit)
  }

  /** The other attempts have lost. */
  private decide(winner: ClientCall): void {
    this.close()
    for (const [attempt, fiber] of this.running) {
      if (attempt === winner) continue
      this.running.delete(attempt)
      fiber.interruptUnsafe()
    }
  }

  private now(): number {
    return this.fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  }
}

/** With the defaults. */
export const client: Aspect.Aspect = make()
