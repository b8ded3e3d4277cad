/**
 * Ends a call that takes too long, and hands the deadline down: the calls that a handler makes have what is left of it.
 *
 * The deadline is the earlier of the one that is there already (sent by the caller, or inherited from the call that this one serves) and
 * this aspect's own. The error says which of them it was, on which hop and in which operation. Streams have no limit of their own unless
 * asked for: a subscription is not slow, it is long.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"
import * as Deadline from "../Deadline.ts"
import * as KratosError from "../error/KratosError.ts"
import { timeLimit } from "../internal/timeLimit.ts"

export interface Options {
  /** The limit of a unary call. Default: none. */
  readonly duration?: Duration.Input | undefined
  /** The limit of a whole stream. Default: none. */
  readonly streams?: Duration.Input | undefined
  /** Limits by operation, `/package.Service/Method`; `"Infinity"` for none. */
  readonly operations?: Readonly<Record<string, Duration.Input>> | undefined
  /** How much sooner the calls that a handler makes must be over, so that there is time to answer when they are not. Default: none. */
  readonly reserve?: Duration.Input | undefined
}

/** The reason of the error, code 504. */
export const reason = Deadline.reason

/** From a duration for unary calls, or from limits by kind and operation. */
export const make = (limit: Duration.Input | Options): Aspect.Aspect<KratosError.KratosError> => {
  const options: Options = isOptions(limit) ? limit : { duration: limit }
  const unary = millis(options.duration)
  const streams = millis(options.streams)
  const reserve = options.reserve === undefined ? 0 : millis(options.reserve)
  const operations = new Map(Object.entries(options.operations ?? {}).map(([operation, input]) => [operation, millis(input)]))
  const limited =
    (run: Limit) =>
    <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | KratosError.KratosError, R> =>
      Effect.withFiber((fiber) => {
        const call = Context.getUnsafe(fiber.context, Call)
        const limit = operations.get(call.operation) ?? (call.kind === "unary" ? unary : streams)
        const inherited = Deadline.min(fiber.getRef(Deadline.Current), call.deadline)
        if (limit === Infinity && inherited === undefined) return effect
        const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const own = inherited === undefined || now + limit < inherited
        const deadline = own ? now + limit : inherited
        const late = Effect.suspend(() => Effect.fail(exceeded(call, deadline, own ? limit : undefined)))
        if (deadline <= now) return late
        return run(effect, fiber, Math.max(now, deadline - reserve), deadline, late)
      })
  return Aspect.withPunctual<KratosError.KratosError, never>(limited(interrupting), limited(punctual))
}

/** Runs `effect`, on a fiber, with the deadline `inner`, and `late` in its place when its end has not come at `deadline`. */
type Limit = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  fiber: Fiber.Fiber<unknown, unknown>,
  inner: Deadline.Deadline,
  deadline: Deadline.Deadline,
  late: Effect.Effect<never, E2>
) => Effect.Effect<A, E | E2, R>

const interrupting: Limit = (effect, fiber, inner, deadline, late) => {
  // the fiber has what the effect needs, or it would not run it
  const services = Context.add(fiber.context, Deadline.Current, inner) as Context.Context<Effect.Services<typeof effect>>
  return timeLimit(effect, services, deadline, late)
}

/** Without a fiber and a timer of its own: what is run sees to its end, and only the error is another. */
const punctual: Limit = (effect, fiber, inner, deadline, late) =>
  Effect.catchCause(
    Effect.provideService(effect, Deadline.Current, inner),
    (cause): Effect.Effect<never, Effect.Error<typeof effect> | Effect.Error<typeof late>> => {
      const isOver = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe() >= deadline
      return isOver && KratosError.reason(cause.reasons.find(Cause.isFailReason)?.error) === reason ? late : Effect.failCause(cause)
    }
  )

const exceeded = (call: CallShape, deadline: Deadline.Deadline, limit: number | undefined): KratosError.KratosError => {
  const hop = call.side === "server" ? "server" : `client of ${call.endpoint}`
  return KratosError.gatewayTimeout(reason, `${hop}: ${call.operation} exceeded ${whose(call, deadline, limit)}`)
}

const whose = (call: CallShape, deadline: Deadline.Deadline, limit: number | undefined): string => {
  if (limit !== undefined) return `its own limit of ${Duration.format(Duration.millis(limit))}`
  if (call.side === "client") return "the deadline of the call that it is part of"
  return deadline === call.deadline ? "the deadline that its caller sent" : "a deadline set around it"
}

const millis = (input: Duration.Input | undefined): number =>
  input === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(input))

// durations have object forms too, told apart by their units
const isOptions = (limit: Duration.Input | Options): limit is Options =>
  typeof limit === "object" && !Array.isArray(limit) && !Duration.isDuration(limit) && !units.some((unit) => unit in limit)

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

/** Kratos' limit of a server: 1 second, unary calls only. */
export const server: Aspect.Aspect<KratosError.KratosError> = make("1 second")

/** Kratos' limit of a client: 2 seconds, unary calls only. */
export const client: Aspect.Aspect<KratosError.KratosError> = make("2 seconds")
