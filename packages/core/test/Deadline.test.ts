import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as Deadline from "../src/Deadline.ts"

describe("Deadline", () => {
  it("takes the earlier of two, and any before none", () => {
    assert.strictEqual(Deadline.min(1, 2), 1)
    assert.strictEqual(Deadline.min(2, 1), 1)
    assert.strictEqual(Deadline.min(undefined, 0), 0)
    assert.strictEqual(Deadline.min(0, undefined), 0)
    assert.isUndefined(Deadline.min(undefined, undefined))
  })

  it.effect("shrinks with time and stops at zero", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* Deadline.remaining)
      const left = Effect.map(Deadline.remaining, (left) => Duration.toMillis(left!)).pipe(Effect.provideService(Deadline.Current, 1000))
      assert.strictEqual(yield* left, 1000)
      yield* TestClock.adjust("400 millis")
      assert.strictEqual(yield* left, 600)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* left, 0)
    })
  )

  it.effect("is shared between steps, and leaves time for what comes after", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const under = <A>(effect: Effect.Effect<A>) => Effect.provideService(effect, Deadline.Current, 2000)
      assert.strictEqual(yield* under(Deadline.share(0.5)(Deadline.Current)), 1500)
      assert.strictEqual(yield* under(Deadline.share(2)(Deadline.Current)), 2000)
      assert.strictEqual(yield* under(Deadline.reserve("300 millis")(Deadline.Current)), 1700)
      assert.strictEqual(yield* under(Deadline.reserve("3 seconds")(Deadline.Current)), 1000)
      assert.isUndefined(yield* Deadline.reserve("1 second")(Deadline.Current))
    })
  )
})
