/**
 * Tries a client's call again when it has failed and another attempt does no harm: because the server has certainly not acted on it, or because the contract
 * says that it may be executed more than once. How often is bounded three times: by attempts, by a budget for the target, and by the deadline.
 *
 * The rules are those of gRFC A6 and of the Google SRE book ("Handling Overload"): full jitter, push-back of the server, and a call that was given up is
 * marked as final, so that the layers above do not multiply it. What is inside of this aspect in a stack runs for each attempt, what is outside for the call.
 * Streams are tried again until the first message of the reply is delivered; messages of a streamed request are kept for that, up to a bound.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Aspect from "../Aspect.ts"
import { Call, type CallShape, type ClientCall, isClientCall } from "../Call.ts"
import * as Deadline from "../Deadline.ts"
import * as RetryAdvice from "../error/RetryAdvice.ts"
import { Grpc, type GrpcCode } from "../error/Status.ts"
import * as Metadata from "../Metadata.ts"
import * as Attempts from "./Attempts.ts"
import * as RetryLimit from "./RetryLimit.ts"

export interface Options {
  /** Attempts of a call, the first included. Default 4, at most 5. */
  readonly maxAttempts?: number | undefined
  /** Upper limit of the first wait; each wait is random between nothing and its limit. Default 50 ms. */
  readonly initialBackoff?: Duration.Input | undefined
  /** Default 1 second. */
  readonly maxBackoff?: Duration.Input | undefined
  /** By which the limit grows. Default 2. */
  readonly backoffMultiplier?: number | undefined
  /**
   * The gRPC codes that may be tried again, on every wire (503 is UNAVAILABLE, as is 502). Default: UNAVAILABLE, and RESOURCE_EXHAUSTED when the server says
   * when to come again.
   */
  readonly retryOn?: ReadonlyArray<GrpcCode> | undefined
  /** Calls that may be executed more than once. Default: those whose contract, or whose verb on REST, says so. */
  readonly idempotent?: boolean | Attempts.Idempotent | undefined
  /** The longest that an attempt may take; one that takes longer is tried again where that does no harm. Default: what is left of the deadline. */
  readonly attemptTimeout?: Duration.Input | undefined
  /** Time before the deadline in which no attempt begins. Default 5 ms. */
  readonly reserve?: Duration.Input | undefined
  /** The longest wait that a server may ask for; when it asks for more the call fails. Default 30 seconds. */
  readonly maxPushback?: Duration.Input | undefined
  /** Bytes of a streamed request that are kept; a longer one is not tried again. Default 256 KiB. */
  readonly maxRequestBytes?: number | undefined
  /** Default: one of this aspect's own. */
  readonly limit?: RetryLimit.RetryLimit | undefined
}

interface Settings {
  readonly maxAttempts: number
  readonly initial: number
  readonly max: number
  readonly multiplier: number
  readonly retryOn: ReadonlyArray<GrpcCode> | undefined
  readonly idempotent: Attempts.Idempotent
  readonly attemptTimeout: number
  readonly reserve: number
  readonly maxPushback: number
}

/** A call and its attempts. */
interface State {
  readonly call: ClientCall
  /** Metadata as it was before the first attempt. */
  readonly request: Metadata.Metadata
  readonly bucket: RetryLimit.Bucket
  /** Attempts that were made. */
  made: number
  /** Waits since the server last said how long to wait. */
  waits: number
}

export const make = (options: Options = {}): Aspect.Aspect => {
  const { limit = RetryLimit.make(), maxRequestBytes = Attempts.MAX_REQUEST_BYTES } = options
  const settings = resolve(options)
  return (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      if (!isClientCall(call)) return effect
      const bucket = limit.of(call.endpoint)
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      bucket.call(now)
      if (settings.maxAttempts < 2) return effect
      const request = call.request.size === 0 ? Metadata.empty : Metadata.clone(call.request)
      const state: State = { call, request, bucket, made: 1, waits: 0 }
      const first = attempted(effect, fiber, call, settings, now)
      const whole = Effect.catchCause(first, (cause) => decide(effect, state, call, settings, cause))
      const counted = bucket.counts ? Effect.tap(whole, () => Effect.sync(() => bucket.succeeded())) : whole
      if (call.kind === "unary") return counted
      call.keep(maxRequestBytes, fiber.context)
      return Effect.onExit(counted, () => Effect.sync(() => call.release()))
    })
}

const resolve = (options: Options): Settings => {
  const {
    attemptTimeout,
    backoffMultiplier = 2,
    idempotent = Attempts.declared,
    initialBackoff = 50,
    maxAttempts = 4,
    maxBackoff = 1000,
    maxPushback = 30_000,
    reserve = 5,
    retryOn
  } = options
  return {
    maxAttempts: Math.min(maxAttempts, Attempts.MOST),
    initial: millis(initialBackoff),
    max: millis(maxBackoff),
    multiplier: backoffMultiplier,
    retryOn,
    idempotent: typeof idempotent === "boolean" ? () => idempotent : idempotent,
    attemptTimeout: attemptTimeout === undefined ? Infinity : millis(attemptTimeout),
    reserve: millis(reserve),
    maxPushback: millis(maxPushback)
  }
}

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** An attempt under a deadline of its own, if it has one that is earlier. */
const attempted = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  fiber: Fiber.Fiber<unknown, unknown>,
  call: CallShape,
  { attemptTimeout }: Settings,
  now: number
): Effect.Effect<A, E, R> =>
  attemptTimeout === Infinity
    ? effect
    : Effect.provideService(effect, Deadline.Current, Deadline.min(Attempts.deadlineOf(call, fiber.context), now + attemptTimeout))

/** What follows on a failed attempt: another one, or the failure. */
const decide = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  state: State,
  attempt: ClientCall,
  settings: Settings,
  cause: Cause.Cause<E>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    const delay = next(fiber, state, attempt, settings, cause, now)
    if (delay === undefined) return Effect.failCause(cause)
    const number = state.made++
    const again = Effect.suspend(() => {
      const made = state.call.again(number, Attempts.requestOf(state.request, number))
      const begun = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const deadline = Deadline.min(Attempts.deadlineOf(state.call, fiber.context), begun + settings.attemptTimeout)
      const services = Attempts.servicesOf(fiber.context, made, deadline === Infinity ? undefined : deadline)
      return effect.pipe(
        Effect.updateContext((context: Context.Context<R>) => Context.merge(context, services)),
        Effect.onExit(() => Effect.sync(() => state.call.adopt(made))),
        Effect.catchCause((cause) => decide(effect, state, made, settings, cause))
      )
    })
    Attempts.record(fiber, state.call, "retry", number)
    const said = Effect.andThen(Attempts.say(state.call, number, delay > 0 ? ` in ${Math.ceil(delay)} ms` : ""), again)
    return delay > 0 ? Effect.delay(said, delay) : said
  })

/** Milliseconds until the next attempt; undefined when there is none. */
const next = (
  fiber: Fiber.Fiber<unknown, unknown>,
  state: State,
  attempt: ClientCall,
  settings: Settings,
  cause: Cause.Cause<unknown>,
  now: number
): number | undefined => {
  const failure = Attempts.failureOf(cause, attempt, now)
  if (failure === undefined || attempt.committed) return undefined
  const { bucket, call } = state
  const deadline = Attempts.deadlineOf(call, fiber.context)
  const giveUp = (outcome: Attempts.Outcome): undefined => {
    RetryAdvice.markFinal(failure.error)
    Attempts.record(fiber, call, outcome, state.made)
  }
  if (failure.advice === "never") {
    bucket.failed()
    return giveUp("pushback")
  }
  // an attempt that had less time than the call has been too slow, which need not be the server's last word
  const isSlow = failure.code === Grpc.DEADLINE_EXCEEDED && settings.attemptTimeout < Infinity && (deadline === undefined || now < deadline)
  if (!isSlow && !isRetryable(failure, settings)) return undefined
  bucket.failed()
  if (!Attempts.isHarmless(attempt, settings.idempotent)) return undefined
  if (state.made >= settings.maxAttempts) return giveUp("attempts")
  let delay: number
  if (failure.advice === undefined) {
    const limit = Math.min(settings.initial * settings.multiplier ** state.waits++, settings.max)
    delay = limit * fiber.getRef(Random.Random).nextDoubleUnsafe()
  } else {
    delay = failure.advice
    if (delay > settings.maxPushback) return giveUp("pushback")
    state.waits = 0
  }
  if (deadline !== undefined && now + delay + settings.reserve >= deadline) {
    Attempts.record(fiber, call, "deadline", state.made)
    return undefined
  }
  return bucket.tryRetry(now) ? delay : giveUp("budget")
}

const isRetryable = ({ advice, code }: Attempts.Failure, { retryOn }: Settings): boolean =>
  retryOn === undefined ? code === Grpc.UNAVAILABLE || (code === Grpc.RESOURCE_EXHAUSTED && advice !== undefined) : retryOn.includes(code)

/** With the defaults. */
export const client: Aspect.Aspect = make()
