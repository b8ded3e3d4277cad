/**
 * Makes calls slow and makes them fail on purpose, to see whether what is around them copes. It does nothing unless it is told to: by rules,
 * or by headers of the call where `headers` allows that (in tests, never on a server that strangers reach).
 *
 * Chance comes from `Random`, delays from the clock. A delay that is longer than the deadline ends where the deadline does.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Aspect } from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"
import * as KratosError from "../error/KratosError.ts"

export interface Rule {
  /** Which calls. Default: all. */
  readonly matches?: ((call: CallShape) => boolean) | undefined
  /** Waits before the call. */
  readonly delay?: { readonly duration: Duration.Input; readonly percentage?: number | undefined } | undefined
  /** Fails instead of the call, after the delay if it has one. */
  readonly abort?: Abort | undefined
}

export interface Abort {
  /** HTTP semantics, 300–599. */
  readonly code: number
  /** Default `FAULT_INJECTED`. */
  readonly reason?: string | undefined
  readonly message?: string | undefined
  /** How many of 100 calls. Default 100. */
  readonly percentage?: number | undefined
}

export interface Options {
  /** The first rule that matches a call is the one that counts. Default: none. */
  readonly rules?: ReadonlyArray<Rule> | undefined
  /** Calls may ask for their own faults by `x-fault-delay` (milliseconds), `x-fault-abort` (code) and `x-fault-reason`; rules come second. Default false. */
  readonly headers?: boolean | undefined
  /** The longest delay that a header may ask for; more is cut to it. Default 10 seconds. */
  readonly maxDelay?: Duration.Input | undefined
}

/** The reason of an injected failure. */
export const reason = "FAULT_INJECTED"

export const make = (options: Options): Aspect<KratosError.KratosError> => {
  const { headers = false, maxDelay = "10 seconds", rules = [] } = options
  const most = Duration.toMillis(Duration.fromInputUnsafe(maxDelay))
  const plans = rules.map((rule) => ({ matches: rule.matches, plan: planOf(rule) }))
  if (plans.length === 0 && !headers) return (effect) => effect
  return (effect) =>
    Effect.withFiber((fiber) => {
      const call = Context.getUnsafe(fiber.context, Call)
      const asked = headers ? askedFor(call, most) : undefined
      const plan = asked ?? plans.find(({ matches }) => matches === undefined || matches(call))?.plan
      return plan === undefined ? effect : inject(plan, effect)
    })
}

/** A rule made ready. Shares of calls, 0–1. */
interface Plan {
  readonly delay: number
  readonly delayed: number
  readonly error: KratosError.KratosError | undefined
  readonly aborted: number
}

const planOf = ({ abort, delay }: Rule): Plan => ({
  delay: delay === undefined ? 0 : Duration.toMillis(Duration.fromInputUnsafe(delay.duration)),
  delayed: delay === undefined ? 0 : (delay.percentage ?? 100) / 100,
  error: abort === undefined ? undefined : errorOf(abort),
  aborted: abort === undefined ? 0 : (abort.percentage ?? 100) / 100
})

const errorOf = (abort: Abort): KratosError.KratosError =>
  KratosError.make(abort.code, abort.reason ?? reason, abort.message ?? "a fault was injected")

const inject = <A, E, R>(plan: Plan, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | KratosError.KratosError, R> =>
  Effect.gen(function* () {
    if (plan.delay > 0 && (yield* happens(plan.delayed))) yield* Effect.sleep(plan.delay)
    if (plan.error !== undefined && (yield* happens(plan.aborted))) return yield* plan.error
    return yield* effect
  })

const happens = (share: number): Effect.Effect<boolean> =>
  share >= 1 ? Effect.succeed(true) : share <= 0 ? Effect.succeed(false) : Effect.map(Random.next, (drawn) => drawn < share)

/** What the headers of a call ask for; undefined when nothing, or nothing that makes sense. */
const askedFor = ({ request }: CallShape, most: number): Plan | undefined => {
  const delay = numberOf(request.get("x-fault-delay")?.[0])
  const code = numberOf(request.get("x-fault-abort")?.[0])
  const error =
    code === undefined || code < 300 || code > 599 ? undefined : errorOf({ code, reason: request.get("x-fault-reason")?.[0] ?? reason })
  if (delay === undefined && error === undefined) return undefined
  return { delay: Math.min(delay ?? 0, most), delayed: 1, error, aborted: 1 }
}

const numberOf = (text: string | undefined): number | undefined => (text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined)
