import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Load from "../src/Load.ts"

describe("steady load", () => {
  it.effect("begins calls when they are due, however long earlier ones take", () =>
    Effect.gen(function* () {
      const begun: Array<readonly [n: number, at: number]> = []
      const call = (n: number) =>
        Effect.flatMap(Clock.currentTimeMillis, (at) => {
          begun.push([n, at])
          return Effect.sleep("1 minute")
        })
      const fiber = yield* Effect.forkChild(Load.steady({ rate: 100, duration: "2 seconds" }, call))
      yield* TestClock.adjust("1 second")
      assert.lengthOf(begun, 100)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        begun.map(([n]) => n),
        Array.from({ length: 200 }, (_, n) => n)
      )
      for (const [n, at] of begun) assert.isTrue(at >= (n + 1) * 10 && at < (n + 1) * 10 + 10, `call ${n} at ${at}`)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { made: 200, dropped: 0 })
    })
  )

  it.effect("makes no more calls at a time than it may, and says what it left out", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(Load.steady({ rate: 100, duration: "1 second", maxInFlight: 10 }, () => Effect.sleep("1 hour")))
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* Fiber.join(fiber), { made: 10, dropped: 90 })
    })
  )

  it.effect("goes on when calls fail, and ends its calls when it is interrupted", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const call = (n: number) =>
        n % 2 === 0 ? Effect.fail("no") : Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const fiber = yield* Effect.forkChild(Load.steady({ rate: 10, duration: "1 second" }, call))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted, 5)
    })
  )
})
