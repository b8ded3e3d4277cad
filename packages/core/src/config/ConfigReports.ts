/** What becomes of changes of config, for people and machines: a line in the log, a counter, and a state that health can show. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Snapshot } from "./Snapshot.ts"

export interface SourceReport {
  readonly name: string
  /** Why its last change was not taken, or why it cannot be followed; undefined when all is well. */
  readonly error: string | undefined
  /** Since when, in milliseconds since the epoch. */
  readonly since: number
}

export interface ConfigReport {
  /** False while the config in place is not what the sources say. */
  readonly current: boolean
  readonly sources: ReadonlyArray<SourceReport>
}

/** One line: `current`, or the sources whose last change is not in place. */
export const describe = ({ current, sources }: ConfigReport): string =>
  current
    ? "current"
    : `not current: ${sources.flatMap(({ error, name }) => (error === undefined ? [] : [`${name}: ${error.split("\n", 1)[0]}`])).join("; ")}`

/** Changes of config by `outcome`: `applied`, `rejected`, or `failed` for a source that could not be read. */
export const changes = Metric.counter("config.changes", { description: "Changes of config by outcome", incremental: true })

export class ConfigReports {
  static readonly make = (names: ReadonlyArray<string>): Effect.Effect<ConfigReports> =>
    Effect.gen(function* () {
      const since = yield* Clock.currentTimeMillis
      return new ConfigReports(
        yield* SubscriptionRef.make<ConfigReport>({ current: true, sources: names.map((name) => ({ name, error: undefined, since })) })
      )
    })

  private readonly ref: SubscriptionRef.SubscriptionRef<ConfigReport>
  readonly current: Effect.Effect<ConfigReport>
  readonly all: Stream.Stream<ConfigReport>

  private constructor(ref: SubscriptionRef.SubscriptionRef<ConfigReport>) {
    this.ref = ref
    this.current = SubscriptionRef.get(ref)
    this.all = SubscriptionRef.changes(ref)
  }

  /** A change was put in place, or there was nothing to change. */
  accepted(source: string, snapshot: Snapshot | undefined): Effect.Effect<void> {
    const told =
      snapshot === undefined
        ? Effect.void
        : Effect.andThen(
            Effect.logInfo(`config: version ${snapshot.version} is in place, changed by ${source}`),
            Metric.update(Metric.withAttributes(changes, { outcome: "applied", source }), 1)
          )
    return Effect.andThen(told, this.set(source, undefined))
  }

  /** A change cannot be decoded; what was in place stays. */
  rejected(source: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const error = Cause.squash(cause)
    const message = error instanceof Error || hasMessage(error) ? error.message : String(error)
    return Effect.logError(`config: a change of ${source} is not valid, the last good config stays: ${message}`).pipe(
      Effect.andThen(Metric.update(Metric.withAttributes(changes, { outcome: "rejected", source }), 1)),
      Effect.andThen(this.set(source, message))
    )
  }

  /** A source cannot be followed at present. Said once, however often it is tried. */
  failing(source: string, error: { readonly message: string }): Effect.Effect<void> {
    return Effect.flatMap(this.current, ({ sources }) =>
      sources.some((one) => one.name === source && one.error === error.message)
        ? Effect.void
        : Effect.logWarning(`${error.message}; the last good config stays, and it is tried again`).pipe(
            Effect.andThen(Metric.update(Metric.withAttributes(changes, { outcome: "failed", source }), 1)),
            Effect.andThen(this.set(source, error.message))
          )
    )
  }

  private set(name: string, error: string | undefined): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (since) =>
      SubscriptionRef.update(this.ref, (report) => {
        if (report.sources.every((one) => one.name !== name || one.error === error)) return report
        const sources = report.sources.map((one) => (one.name === name ? { name, error, since } : one))
        return { current: sources.every((one) => one.error === undefined), sources }
      })
    )
  }
}

const hasMessage = (error: unknown): error is { readonly message: string } =>
  typeof error === "object" && error !== null && "message" in error && typeof error.message === "string"
