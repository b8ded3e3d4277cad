/** Loggers around those that are there: what all modules of this folder are made of. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

export type Line = Logger.Options<unknown>

/** The loggers that are there, each handed the line that `change` makes of one; undefined drops it. */
export const loggers = (change: (line: Line) => Line | undefined): Effect.Effect<ReadonlySet<Logger.Logger<unknown, unknown>>> =>
  Effect.map(Logger.CurrentLoggers, (current) => {
    const changed = new Set<Logger.Logger<unknown, unknown>>()
    for (const logger of current) {
      changed.add(
        Logger.make((line) => {
          const next = change(line)
          return next === undefined ? undefined : logger.log(next)
        })
      )
    }
    return changed
  })

/** A layer of these loggers. It belongs above the layer that installs the loggers which write. */
export const layer = (change: (line: Line) => Line | undefined): Layer.Layer<never> => Layer.effect(Logger.CurrentLoggers, loggers(change))

/** The line with other annotations. Loggers read them from the line's fiber, so it gets a view of that fiber. */
export const withAnnotations = (line: Line, annotations: Readonly<Record<string, unknown>>): Line => ({
  ...line,
  fiber: Object.create(line.fiber, {
    context: { value: Context.add(line.fiber.context, References.CurrentLogAnnotations, annotations) }
    // everything of a fiber, by its prototype, but for its context
  }) as Fiber.Fiber<unknown, unknown>
})

/** The annotations of a line. */
export const annotations = (line: Line): Readonly<Record<string, unknown>> => line.fiber.getRef(References.CurrentLogAnnotations)
