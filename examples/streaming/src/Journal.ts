/** What became of streams, on the server: how many values were made, how each stream ended. For the log, and for the tests. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"

export class Journal extends Context.Service<
  Journal,
  {
    readonly produced: Effect.Effect<void>
    readonly ended: (what: string, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
    /** How many values were made so far. */
    readonly count: Effect.Effect<number>
    /** `watch: interrupted`, `watch: failed`, `smooth: done`. */
    readonly ends: Effect.Effect<ReadonlyArray<string>>
  }
>()("@effect-kratos/example-streaming/Journal") {
  static readonly layer: Layer.Layer<Journal> = Layer.sync(Journal, () => {
    let count = 0
    const ends: Array<string> = []
    return Journal.of({
      produced: Effect.sync(() => void count++),
      ended: (what, exit) => {
        const how = Exit.isSuccess(exit) ? "done" : Cause.hasInterrupts(exit.cause) ? "interrupted" : "failed"
        ends.push(`${what}: ${how}`)
        // a program that runs for long keeps the last ones
        if (ends.length > 100) ends.shift()
        return Effect.logInfo(`${what} ${how} after ${count} values in all`)
      },
      count: Effect.sync(() => count),
      ends: Effect.sync(() => [...ends])
    })
  })
}
