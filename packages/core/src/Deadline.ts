/**
 * When a call must be over. A deadline is a point in time, so that it shrinks by itself on its way: the server reads it off the request,
 * runs the handler under it, and every outgoing call of that handler carries what is left.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Milliseconds since the epoch, by the fiber's `Clock`. */
export type Deadline = number

/** The deadline of the call that this fiber works for; undefined when it has none. */
export const Current: Context.Reference<Deadline | undefined> = Context.Reference<Deadline | undefined>("@effect-kratos/core/Deadline", {
  defaultValue: () => undefined
})

/** The reason of the 504 with which a call fails that outlives its deadline. */
export const reason = "DEADLINE_EXCEEDED"

/** The earlier of two. */
export const min = (a: Deadline | undefined, b: Deadline | undefined): Deadline | undefined =>
  a === undefined ? b : b === undefined || a < b ? a : b

/** What is left of the current deadline: zero when it has passed, undefined when there is none. */
export const remaining: Effect.Effect<Duration.Duration | undefined> = Effect.withFiber((fiber) => {
  const deadline = fiber.getRef(Current)
  if (deadline === undefined) return none
  return Effect.succeed(Duration.millis(Math.max(0, deadline - fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())))
})

const none: Effect.Effect<undefined> = Effect.succeed(undefined)

/**
 * Runs an effect, and the calls that it makes, with `time` less than what is left: it is kept for what comes after, the reply for example. Without effect where
 * there is no deadline; nothing left where the deadline is nearer than that.
 */
export const reserve =
  (time: Duration.Input) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    sooner(self, (left) => left - Duration.toMillis(Duration.fromInputUnsafe(time)))

/** Runs an effect, and the calls that it makes, with a part of what is left, between 0 and 1: so that a second step has some too. */
export const share =
  (part: number) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    sooner(self, (left) => left * Math.min(1, part))

const sooner = <A, E, R>(self: Effect.Effect<A, E, R>, budget: (left: number) => number): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const deadline = fiber.getRef(Current)
    if (deadline === undefined) return self
    const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    return Effect.provideService(self, Current, now + Math.max(0, budget(deadline - now)))
  })
