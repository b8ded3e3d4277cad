import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as EventLoop from "../src/EventLoop.ts"

/** A loop whose timers fire when the test says. */
const make = Effect.gen(function* () {
  let now = 0
  let timers: Array<{ readonly until: number; readonly wake: () => void }> = []
  let turned: Array<() => void> = []
  const clock: Clock.Clock = {
    ...(yield* Clock.Clock),
    currentTimeMillisUnsafe: () => now,
    monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n,
    sleep: (duration) =>
      Effect.callback<void>((resume) => void timers.push({ until: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }))
  }
  const loop = yield* EventLoop.make({ active: () => 0, nextTurn: (task) => void turned.push(task) }).pipe(
    Effect.provideService(Clock.Clock, clock)
  )
  // the fiber that looks begins
  yield* Effect.yieldNow
  const fire = Effect.gen(function* () {
    const due = timers
    timers = []
    for (const { until, wake } of due) {
      assert.isAtLeast(now, until)
      wake()
    }
    yield* Effect.yieldNow
  })
  return {
    loop,
    /** The timer fires so many milliseconds late. */
    late: (millis: number) =>
      Effect.andThen(
        Effect.sync(() => (now += 10 + millis)),
        fire
      ),
    /** A turn in which a call comes, so many milliseconds later, while timers wait. */
    turn: (millis: number) => {
      for (const task of turned.splice(0)) task()
      now += millis
      return loop.turn(now)
    }
  }
})

describe("EventLoop", () => {
  it.effect("is on time when nothing is late", () =>
    Effect.gen(function* () {
      const { late, loop } = yield* make
      for (let i = 0; i < 20; i++) yield* late(0)
      assert.strictEqual(loop.delay(), 0)
      assert.strictEqual(loop.standing(), 0)
    }).pipe(Effect.scoped)
  )

  it.effect("tells a delay that stands from one that goes away", () =>
    Effect.gen(function* () {
      const { late, loop } = yield* make
      for (let i = 0; i < 20; i++) yield* late(i % 2 === 0 ? 40 : 5)
      assert.isAbove(loop.delay(), 10)
      assert.strictEqual(loop.standing(), 5)
      yield* late(40)
      yield* late(60)
      assert.strictEqual(loop.standing(), 40)
      yield* late(0)
      assert.strictEqual(loop.standing(), 0)
    }).pipe(Effect.scoped)
  )

  it.effect("a single pause is no queue", () =>
    Effect.gen(function* () {
      const { late, loop } = yield* make
      for (let i = 0; i < 10; i++) yield* late(0)
      yield* late(500)
      assert.strictEqual(loop.standing(), 0)
    }).pipe(Effect.scoped)
  )

  it.effect("a look that is overdue counts as far as it has come, once the loop has turned", () =>
    Effect.gen(function* () {
      const { late, loop, turn } = yield* make
      for (let i = 0; i < 10; i++) yield* late(0)
      turn(10 + 120)
      assert.strictEqual(loop.delay(), 120)
      // it may have been a pause
      assert.strictEqual(loop.standing(), 0)
      turn(1)
      assert.strictEqual(loop.standing(), 121)
    }).pipe(Effect.scoped)
  )

  it.effect("has one time for a turn", () =>
    Effect.gen(function* () {
      const { loop, turn } = yield* make
      assert.strictEqual(turn(5), 5)
      assert.strictEqual(loop.turn(9), 5)
      assert.strictEqual(turn(4), 9)
    }).pipe(Effect.scoped)
  )
})
