import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as TokenBucket from "../src/TokenBucket.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const takes = Schema.Array(Schema.Struct({ wait: between(-50, 500), cost: between(0, 5) }))

describe("TokenBucket", () => {
  it.effect.prop("never gives more than rate · t + burst in any span", [takes, between(1, 100), between(1, 20)], ([takes, rate, burst]) =>
    Effect.gen(function* () {
      const self = TokenBucket.make({ rate, burst })
      const given: Array<{ readonly at: number; readonly tokens: number }> = []
      let now = 1000
      // the time that has really passed: a clock that is set back lives through some of it twice
      let passed = 0
      for (const { cost, wait } of takes) {
        now += wait
        passed += Math.abs(wait)
        if (self.tryTake(now, cost) === 0) given.push({ at: passed, tokens: cost })
      }
      for (let from = 0; from < given.length; from++) {
        let tokens = 0
        for (let to = from; to < given.length; to++) {
          tokens += given[to]!.tokens
          assert.isAtMost(tokens, (rate * (given[to]!.at - given[from]!.at)) / 1000 + burst + 1e-6)
        }
      }
      yield* Effect.void
    })
  )

  it.effect.prop(
    "has enough when it said it would, and not before",
    [between(1, 1000), between(1, 20), between(1, 20)],
    ([rate, burst, cost]) =>
      Effect.gen(function* () {
        const self = TokenBucket.make({ rate, burst })
        assert.strictEqual(self.remaining(0), burst)
        assert.strictEqual(self.tryTake(0, burst), 0)
        assert.strictEqual(self.remaining(0), 0)
        const wait = self.tryTake(0, cost)
        if (cost > burst) assert.strictEqual(wait, Number.POSITIVE_INFINITY)
        else {
          assert.closeTo(wait, (cost / rate) * 1000, 1e-6)
          assert.isAbove(self.tryTake(wait * 0.99, cost), 0)
          assert.strictEqual(self.tryTake(wait + 1e-6, cost), 0)
        }
        yield* Effect.void
      })
  )

  it("gives nothing to a negative cost, and nothing at a rate of 0 after its burst", () => {
    const self = TokenBucket.make({ rate: 0, burst: 2 })
    assert.strictEqual(self.tryTake(0, -5), 0)
    assert.strictEqual(self.remaining(0), 2)
    assert.strictEqual(self.tryTake(0, 2), 0)
    assert.strictEqual(self.tryTake(1e9), Number.POSITIVE_INFINITY)
  })

  it.effect("fails with the time to wait", () =>
    Effect.gen(function* () {
      const self = TokenBucket.make({ rate: 10, burst: 1 })
      yield* TokenBucket.take(self)
      const error = yield* Effect.flip(TokenBucket.take(self))
      assert.deepStrictEqual([error._tag, error.retryAfter], ["RateLimited", 100])
      yield* TestClock.adjust("100 millis")
      yield* TokenBucket.take(self)
    })
  )
})

describe("TokenBucket with keys", () => {
  it.effect("limits each key on its own", () =>
    Effect.gen(function* () {
      const self = TokenBucket.makeKeyed({ rate: 1, burst: 2 })
      yield* TokenBucket.takeKeyed(self, "a", 2)
      assert.strictEqual(self.remaining("a", 0), 0)
      assert.strictEqual(self.remaining("b", 0), 2)
      assert.strictEqual((yield* Effect.flip(TokenBucket.takeKeyed(self, "a"))).retryAfter, 1000)
      yield* TokenBucket.takeKeyed(self, "b")
    })
  )

  it("keeps no more keys than its capacity, and drops the one used least recently", () => {
    const self = TokenBucket.makeKeyed({ rate: 1, burst: 1, capacity: 3 })
    for (const key of ["a", "b", "c"]) assert.strictEqual(self.tryTake(key, 0), 0)
    assert.isAbove(self.tryTake("a", 0), 0)
    assert.strictEqual(self.tryTake("d", 0), 0)
    assert.strictEqual(self.size(), 3)
    assert.strictEqual(self.remaining("b", 0), 1, "b was forgotten")
    assert.isAbove(self.tryTake("a", 0), 0, "a was not")
    for (let i = 0; i < 10_000; i++) self.tryTake(`made up ${i}`, 0)
    assert.strictEqual(self.size(), 3)
  })

  it("forgets keys that were idle for a minute, and never one whose bucket is not full", () => {
    const self = TokenBucket.makeKeyed({ rate: 1, burst: 1 })
    for (let i = 0; i < 100; i++) self.tryTake(`${i}`, 0)
    assert.strictEqual(self.size(), 100)
    for (let i = 0; i < 60; i++) self.tryTake(`later ${i}`, 60_001)
    assert.strictEqual(self.size(), 60)
    const slow = TokenBucket.makeKeyed({ rate: 0.001, burst: 1, idle: "1 second" })
    slow.tryTake("a", 0)
    slow.tryTake("b", 900_000)
    assert.isAbove(slow.tryTake("a", 900_000), 0)
  })
})
