import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"

/**
 * Runs an effect and waits no longer than `duration` for its exit, even where it does not let itself be interrupted: then it is left
 * behind, interrupted. A finalizer that hangs cannot hold up the ones after it this way.
 */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  duration: Duration.Input
): Effect.Effect<Option.Option<Exit.Exit<A, E>>, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(effect, { startImmediately: true }), (fiber) =>
      restore(Effect.timeoutOption(Fiber.await(fiber), duration)).pipe(
        Effect.tap((exit) => (Option.isNone(exit) ? Effect.sync(() => fiber.interruptUnsafe()) : Effect.void)),
        Effect.onInterrupt(() => Effect.timeoutOption(Fiber.interrupt(fiber), duration))
      )
    )
  )
