import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as ConcurrencyLimit from "../src/ConcurrencyLimit.ts"

/**
 * A client that sends as much as the limit lets it to a server that does `capacity(now)` calls at a time in 10 ms and queues the others.
 * Returns the limit at the end of each second.
 */
const saturate = (self: ConcurrencyLimit.ConcurrencyLimit, seconds: number, capacity: (now: number) => number) => {
  const limits: Array<number> = []
  const ends: Array<{ readonly start: number; readonly at: number }> = []
  let free = 0
  for (let now = 0; now < seconds * 1000; now++) {
    while (ends.length > 0 && ends[0]!.at <= now) self.succeed(ends.shift()!.start, now)
    while (self.tryAcquire()) {
      // one worker that takes calls at the rate of all of them; a call takes 10 ms at least
      free = Math.max(free, now) + 10 / capacity(now)
      ends.push({ start: now, at: Math.max(now + 10, free) })
    }
    if (now % 1000 === 999) limits.push(self.limit())
  }
  return limits
}

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("ConcurrencyLimit", () => {
  it("grows to what a server can take, and not far beyond", () => {
    const limits = saturate(ConcurrencyLimit.make({ minimum: 1, maximum: 1000 }), 30, () => 50)
    assert.strictEqual(ConcurrencyLimit.make().limit(), 20)
    for (const limit of limits.slice(10)) {
      assert.isAtLeast(limit, 50)
      assert.isAtMost(limit, 125)
    }
  })

  it("shrinks when the server gets slower, and grows again", () => {
    const limits = saturate(ConcurrencyLimit.make({ minimum: 1, maximum: 1000 }), 60, (now) => (now >= 20_000 && now < 25_000 ? 10 : 100))
    const before = limits[19]!
    assert.isAtLeast(before, 100)
    assert.isAtMost(Math.min(...limits.slice(20, 26)), before / 2)
    assert.isAtLeast(limits[59]!, 90)
  })

  it("falls by a tenth in each window with drops, not for each drop", () => {
    const self = ConcurrencyLimit.make({ initial: 100, minimum: 10 })
    const window = (now: number) => {
      for (let i = 0; i < 20; i++) {
        assert.isTrue(self.tryAcquire())
        self.drop(now + i * 10)
      }
      return self.limit()
    }
    // one window ends in the first two hundred milliseconds, two end in the second
    assert.deepStrictEqual([window(0), window(1000)], [90, 72])
    for (let i = 2; i < 50; i++) window(i * 1000)
    assert.strictEqual(self.limit(), 10)
  })

  it("does not take for usual what was load long ago", () => {
    const self = ConcurrencyLimit.make({ initial: 20, minimum: 1, maximum: 20 })
    let now = 0
    const windows = (count: number, latency: number) => {
      for (let i = 0; i < count; i++) {
        now += 200
        while (self.tryAcquire());
        while (self.inFlight() > 0) self.succeed(now - latency, now)
      }
      return self.limit()
    }
    assert.strictEqual(windows(700, 100), 20)
    assert.strictEqual(windows(60, 10), 20)
    // against a hundred milliseconds these would be nothing
    assert.isAtMost(windows(5, 60), 15)
  })

  it("learns nothing from a client that uses less than half of its limit", () => {
    const self = ConcurrencyLimit.make({ initial: 100 })
    for (let now = 0; now < 10_000; now += 10) {
      assert.isTrue(self.tryAcquire())
      self.succeed(now - 5, now)
    }
    assert.strictEqual(self.limit(), 100)
  })

  it.effect.prop(
    "stays between its bounds and never admits more than it says",
    [
      Schema.Array(Schema.Struct({ wait: between(0, 200), latency: between(0, 5000), verb: between(0, 4) })),
      between(1, 30),
      between(1, 60)
    ],
    ([steps, minimum, maximum]) =>
      Effect.gen(function* () {
        const self = ConcurrencyLimit.make({ minimum, maximum })
        let now = 10_000
        for (const { latency, verb, wait } of steps) {
          now += wait
          const before = self.inFlight()
          if (verb <= 1) assert.strictEqual(self.tryAcquire(), before < self.limit())
          else if (before > 0) {
            if (verb === 2) self.succeed(now - latency, now)
            else if (verb === 3) self.drop(now)
            else self.cancel()
            assert.strictEqual(self.inFlight(), before - 1)
          }
          assert.isAtLeast(self.limit(), minimum)
          assert.isAtMost(self.limit(), Math.max(minimum, maximum))
        }
        yield* Effect.void
      })
  )

  it.effect("refuses at the limit and gives back the place of what is interrupted", () =>
    Effect.gen(function* () {
      const self = ConcurrencyLimit.make({ initial: 2, minimum: 1, maximum: 2 })
      const protect = ConcurrencyLimit.protect(self)
      const first = yield* Effect.forkChild(protect(Effect.never), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.flip(protect(Effect.delay(Effect.fail("slow"), "1 second"), { isDrop: () => true })), {
        startImmediately: true
      })
      assert.strictEqual((yield* Effect.flip(protect(Effect.void)))._tag, "ConcurrencyLimitReached")
      yield* Fiber.interrupt(first)
      assert.strictEqual(self.inFlight(), 1)
      yield* protect(Effect.void)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(second), "slow")
      assert.strictEqual(self.inFlight(), 0)
    })
  )
})
