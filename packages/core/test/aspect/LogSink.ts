/** Collects what is logged. */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import type * as Cause from "effect/Cause"

export interface Line {
  readonly level: string
  readonly message: unknown
  readonly annotations: Readonly<Record<string, unknown>>
  readonly cause: Cause.Cause<unknown>
}

/** Runs an effect with a logger that writes to `lines` only. */
export const provide =
  (lines: Array<Line>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provide(
      effect,
      Logger.layer([
        Logger.make(({ cause, fiber, logLevel, message }) => {
          lines.push({ level: logLevel, message, annotations: fiber.getRef(References.CurrentLogAnnotations), cause })
        })
      ])
    )
