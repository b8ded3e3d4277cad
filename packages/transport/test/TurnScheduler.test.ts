import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as TurnScheduler from "../src/TurnScheduler.ts"

/** A scheduler whose time and turns are the test's. */
const make = Effect.gen(function* () {
  let now = 0
  let tasks: Array<() => void> = []
  const clock: Clock.Clock = { ...(yield* Clock.Clock), currentTimeMillisUnsafe: () => now }
  const scheduler = TurnScheduler.make(clock, 2, (task) => void tasks.push(task))
  const turn = () => {
    const due = tasks
    tasks = []
    for (const task of due) task()
  }
  return {
    scheduler,
    turn,
    /** Takes time of the turn, as a handler that computes. */
    compute: (millis: number) => (now += millis),
    isIdle: () => tasks.length === 0
  }
})

describe("TurnScheduler", () => {
  it.effect("fibers go on in turns of 2 ms, first come, first served", () =>
    Effect.gen(function* () {
      const { compute, isIdle, scheduler, turn } = yield* make
      const order: Array<number> = []
      const fibers = [0, 1, 2, 3, 4].map((i) =>
        Effect.runFork(
          Effect.sync(() => {
            order.push(i)
            compute(1)
          }),
          { scheduler }
        )
      )
      // two have begun at once, as ever
      assert.deepStrictEqual(order, [0, 1])
      turn()
      assert.deepStrictEqual(order, [0, 1, 2, 3])
      turn()
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4])
      for (const fiber of fibers) yield* Fiber.await(fiber)
      turn()
      assert.isTrue(isIdle())
    })
  )

  it.effect("what is resumed when the turn has had its time waits for the next", () =>
    Effect.gen(function* () {
      const { compute, scheduler, turn } = yield* make
      const gate = yield* Deferred.make<void>()
      let resumed = 0
      const waiting = Effect.andThen(
        Deferred.await(gate),
        Effect.sync(() => {
          resumed++
          compute(5)
        })
      )
      Effect.runFork(waiting, { scheduler })
      Effect.runFork(waiting, { scheduler })
      turn()
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(resumed, 1)
      turn()
      assert.strictEqual(resumed, 2)
    })
  )

  it.effect("a fiber with much to do yields as under any scheduler, and a flush runs it to its end", () =>
    Effect.gen(function* () {
      const { scheduler } = yield* make
      let steps = 0
      const fiber = Effect.runFork(
        Effect.repeat(
          Effect.sync(() => steps++),
          { times: 9_999 }
        ),
        { scheduler }
      )
      assert.isBelow(steps, 10_000)
      scheduler.makeDispatcher().flush()
      assert.strictEqual(steps, 10_000)
      assert.isDefined(fiber.pollUnsafe())
      assert.strictEqual(scheduler.executionMode, "async" satisfies Scheduler.Scheduler["executionMode"])
    })
  )
})
