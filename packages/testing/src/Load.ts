/**
 * Load with a rate of its own: calls begin when they are due, however long earlier ones take, as those of independent users do. A generator that waits for
 * replies slows down with the server and hides what its users would see.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"

export interface Options {
  /** Calls a second. */
  readonly rate: number
  /** How long calls begin; those that have begun are waited for. */
  readonly duration: Duration.Input
  /** Calls at a time; those that are due beyond it are not made and count as `dropped`. Default 10,000. */
  readonly maxInFlight?: number | undefined
}

export interface Done {
  readonly made: number
  readonly dropped: number
}

/** How often it looks what is due, in milliseconds: as often as timers go, so that calls begin one by one and not in bursts. */
const TICK = 1

/** Makes calls at a steady rate. What a call ends with is its own matter: note it in a `Journal`. Interrupting the load interrupts its calls. */
export const steady = <E, R>(options: Options, call: (n: number) => Effect.Effect<unknown, E, R>): Effect.Effect<Done, never, R> =>
  Effect.gen(function* () {
    const { duration, maxInFlight = 10_000, rate } = options
    const calls = yield* FiberSet.make<unknown, never>()
    const run = yield* FiberSet.runtime(calls)<R>()
    const clock = yield* Clock.Clock
    const start = clock.currentTimeMillisUnsafe()
    const total = Math.floor((rate * Duration.toMillis(duration)) / 1000)
    let inFlight = 0
    let dropped = 0
    let due = 0
    const ended = Effect.sync(() => inFlight--)
    while (due < total) {
      const now = Math.min(total, Math.floor(((clock.currentTimeMillisUnsafe() - start) * rate) / 1000))
      for (; due < now; due++) {
        if (inFlight >= maxInFlight) {
          dropped++
          continue
        }
        inFlight++
        const n = due
        run(Effect.ensuring(Effect.exit(Effect.suspend(() => call(n))), ended))
      }
      yield* Effect.sleep(TICK)
    }
    yield* FiberSet.awaitEmpty(calls)
    return { made: total - dropped, dropped }
  }).pipe(Effect.scoped)
