/**
 * The level of the log, changeable while the program runs: by whoever has the service, by a stream of a config, for a while and back again.
 *
 * Effect's minimum level belongs to each fiber's context and cannot change under it. This layer lets all lines through there and asks the live level in front
 * of the loggers, and `Logging` asks before it builds a line; so a line below the level costs a little more than with a fixed minimum.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Decorate from "./decorate.ts"

export class LiveLevel extends Context.Service<
  LiveLevel,
  {
    readonly get: Effect.Effect<LogLevel.LogLevel>
    /** Sets the level; one that `setFor` would bring back is forgotten. */
    readonly set: (level: LogLevel.LogLevel) => Effect.Effect<void>
    /** Sets the level for a while; afterwards the one that was set by `set` holds again. Returns at once. */
    readonly setFor: (level: LogLevel.LogLevel, duration: Duration.Input) => Effect.Effect<void>
    /** The level now and whenever it changes. */
    readonly changes: Stream.Stream<LogLevel.LogLevel>
  }
>()("@effect-kratos/core/log/LiveLevel") {}

/** The level for hot paths; undefined where no layer of this module is in use. */
export const Current: Context.Reference<{ readonly level: LogLevel.LogLevel } | undefined> = Context.Reference<
  { readonly level: LogLevel.LogLevel } | undefined
>("@effect-kratos/core/log/LiveLevel/Current", { defaultValue: () => undefined })

/** Whether a line of that level would be written. */
export const isEnabled = (services: Context.Context<never>, level: LogLevel.LogLevel): boolean => {
  const live = Context.get(services, Current)
  return !LogLevel.isGreaterThan(live === undefined ? Context.get(services, References.MinimumLogLevel) : live.level, level)
}

/** Starts at `initial`, default Info. Belongs above the layer that installs the loggers which write. */
export const layer = (initial: LogLevel.LogLevel = "Info"): Layer.Layer<LiveLevel> => Layer.effectContext(make(initial))

/** Sets the level to what a stream says, from a config for example, as long as the layer lives. */
export const follow = <E, R>(levels: Stream.Stream<LogLevel.LogLevel, E, R>): Layer.Layer<never, never, LiveLevel | R> =>
  Layer.effectDiscard(
    Effect.flatMap(LiveLevel, (live) =>
      Stream.runForEach(levels, live.set).pipe(
        Effect.catchCause((cause) => Effect.logWarning("the log level no longer follows its source", cause)),
        Effect.forkScoped
      )
    )
  )

const make = Effect.fnUntraced(function* (initial: LogLevel.LogLevel) {
  const scope = yield* Effect.scope
  const ref = yield* SubscriptionRef.make(initial)
  const live = {
    get level(): LogLevel.LogLevel {
      return SubscriptionRef.getUnsafe(ref)
    }
  }
  let lasting = initial
  let back: Fiber.Fiber<void> | undefined
  const forget = Effect.suspend(() => {
    const fiber = back
    back = undefined
    return fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
  })
  const service = LiveLevel.of({
    get: SubscriptionRef.get(ref),
    set: (level) =>
      Effect.andThen(
        forget,
        Effect.suspend(() => SubscriptionRef.set(ref, (lasting = level)))
      ),
    setFor: (level, duration) =>
      Effect.gen(function* () {
        yield* forget
        yield* SubscriptionRef.set(ref, level)
        const later = Effect.andThen(
          Effect.sleep(duration),
          Effect.suspend(() => SubscriptionRef.set(ref, lasting))
        )
        back = yield* Effect.forkIn(later, scope)
      }),
    changes: SubscriptionRef.changes(ref)
  })
  const loggers = yield* Decorate.loggers((line) => (LogLevel.isGreaterThan(live.level, line.logLevel) ? undefined : line))
  return Context.make(LiveLevel, service).pipe(
    Context.add(Current, live),
    Context.add(Logger.CurrentLoggers, loggers),
    Context.add(References.MinimumLogLevel, "All")
  )
})

const names: Readonly<Record<string, LogLevel.LogLevel>> = {
  all: "All",
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  warning: "Warn",
  error: "Error",
  fatal: "Fatal",
  none: "None"
}

/** The level of a name as Effect or Kratos writes it, in any case; undefined for what is none. */
export const parse = (name: string): LogLevel.LogLevel | undefined => {
  const key = name.trim().toLowerCase()
  return Object.hasOwn(names, key) ? names[key] : undefined
}
