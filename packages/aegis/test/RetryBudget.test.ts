import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as RetryBudget from "../src/RetryBudget.ts"

const steps = Schema.Array(
  Schema.Struct({
    wait: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 })),
    calls: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 })),
    retries: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
  })
)

/** Uses up what the budget gives at `now`. */
const drain = (self: RetryBudget.RetryBudget, now: number): number => {
  let retries = 0
  while (retries < 1000 && self.tryRetry(now)) retries++
  return retries
}

describe("RetryBudget", () => {
  it.effect.prop("bounds retries over any span from the beginning", [steps], ([steps]) =>
    Effect.gen(function* () {
      const self = RetryBudget.make()
      let now = 5000
      let calls = 0
      let retries = 0
      for (const step of steps) {
        now += step.wait
        for (let i = 0; i < step.calls; i++) self.call(now)
        calls += step.calls
        for (let i = 0; i < step.retries; i++) {
          const left = self.remaining(now)
          const granted = self.tryRetry(now)
          assert.strictEqual(granted, left >= 1)
          if (granted) retries++
        }
        assert.isAtMost(retries, 0.2 * calls + (10 * (now - 5000)) / 1000 + 10 + 1e-6)
      }
      yield* Effect.void
    })
  )

  it("gives a fifth of the calls and ten", () => {
    const self = RetryBudget.make()
    for (let i = 0; i < 1000; i++) self.call(0)
    assert.strictEqual(self.remaining(0), 210)
    assert.strictEqual(drain(self, 0), 210)
    assert.strictEqual(self.remaining(0), 0)
  })

  it("loses no retry to the rounding of its ratio", () => {
    // 100 · 0.29 is a little less than 29
    const self = RetryBudget.make({ ratio: 0.29, perSecond: 0 })
    for (let i = 0; i < 100; i++) self.call(0)
    assert.strictEqual(self.remaining(0), 29)
    assert.strictEqual(drain(self, 0), 29)
  })

  it("gives ten a second to a client without calls, not more after it was idle", () => {
    const self = RetryBudget.make()
    assert.strictEqual(drain(self, 0), 10)
    assert.strictEqual(drain(self, 1000), 10)
    assert.strictEqual(drain(self, 100_000), 10)
  })

  it("forgets calls after its window", () => {
    const self = RetryBudget.make({ perSecond: 0, window: "10 seconds" })
    for (let i = 0; i < 100; i++) self.call(0)
    assert.strictEqual(self.remaining(9000), 20)
    assert.strictEqual(self.remaining(10_000), 0)
    assert.isFalse(self.tryRetry(10_000))
  })

  it("keeps a client whose every call fails below 1.2 attempts a call, and ten a second", () => {
    const self = RetryBudget.make()
    let attempts = 0
    for (let now = 0; now < 60_000; now += 2) {
      self.call(now)
      attempts++
      attempts += drain(self, now)
    }
    assert.isAtMost(attempts, 30_000 * 1.2 + 610)
    assert.isAtLeast(attempts, 30_000 * 1.2)
  })
})
