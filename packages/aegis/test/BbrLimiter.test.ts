import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as BbrLimiter from "../src/BbrLimiter.ts"
import * as CpuUsage from "../src/CpuUsage.ts"

/** As in the Go tests: ten buckets of 100 ms. */
const options: BbrLimiter.Options = { window: "1 second", buckets: 10, cpuThreshold: 800 }
const idle: CpuUsage.Shape = { permille: () => 0 }

/** Ends `count` calls at `now` that took `millis` each. */
const end = (self: BbrLimiter.BbrLimiter, now: number, count: number, millis: number) => {
  for (let i = 0; i < count; i++) {
    assert.isTrue(self.tryAcquire(now))
    self.done(now - millis, now)
  }
}

/** `passes(i)` calls in bucket `i`, the latencies `i · 10 + 1 … i · 10 + 10` in equal parts. */
const fill = (self: BbrLimiter.BbrLimiter, passes: (bucket: number) => number) => {
  for (let i = 0; i < 10; i++) {
    for (let j = 1; j <= 10; j++) end(self, i * 100, passes(i) / 10, i * 10 + j)
  }
}

const hold = (self: BbrLimiter.BbrLimiter, now: number, inFlight: number) => {
  while (self.inFlight() < inFlight) assert.isTrue(self.tryAcquire(now))
}

describe("BbrLimiter", () => {
  it("finds the golden value of max pass", () => {
    const self = BbrLimiter.makeUnsafe(options, idle)
    assert.strictEqual(self.maxPass(0), 1)
    for (let i = 1; i <= 10; i++) end(self, i * 100, i * 100, 0)
    assert.strictEqual(self.maxPass(1100), 1000)
  })

  it("keeps max pass for the length of a bucket, without the incomplete one", () => {
    const self = BbrLimiter.makeUnsafe(options, idle)
    end(self, 0, 50, 0)
    assert.strictEqual(self.maxPass(50), 1)
    end(self, 50, 50, 0)
    assert.strictEqual(self.maxPass(100), 1)
    end(self, 100, 1, 0)
    assert.strictEqual(self.maxPass(200), 100)
  })

  it("finds the golden value of min RT, and 1 when nothing is known", () => {
    const self = BbrLimiter.makeUnsafe(options, idle)
    assert.strictEqual(self.minRt(0), 1)
    fill(self, () => 10)
    assert.strictEqual(self.minRt(900 + 99), 6)
    assert.strictEqual(self.minRt(10_000), 1)
  })

  it("finds the golden value of max in flight", () => {
    const self = BbrLimiter.makeUnsafe(options, idle)
    fill(self, (i) => (i + 2) * 100)
    assert.strictEqual(self.maxInFlight(900), 60)
    assert.deepStrictEqual(self.snapshot(900), { cpu: 0, inFlight: 0, maxInFlight: 60, minRt: 6, maxPass: 1000 })
  })

  it("drops as the golden table says", () => {
    let cpu = 0
    const self = BbrLimiter.makeUnsafe(options, { permille: () => cpu })
    fill(self, (i) => (i + 1) * 100)
    assert.strictEqual(self.maxInFlight(900), 54)
    const drops = (now: number) => {
      const admitted = self.tryAcquire(now)
      if (admitted) self.cancel()
      return !admitted
    }
    hold(self, 900, 50)
    cpu = 800
    assert.isFalse(drops(900))
    cpu = 0
    hold(self, 900, 80)
    cpu = 800
    assert.isTrue(drops(900))
    cpu = 700
    assert.isTrue(drops(900), "cooling down")
    assert.isTrue(drops(1900), "for a second")
    assert.isFalse(drops(2900))
    // the next drop begins a new second
    cpu = 800
    assert.isTrue(drops(3000))
    cpu = 700
    assert.isTrue(drops(3900))
  })

  it("admits two calls however slow they are, and never less after it was idle", () => {
    const self = BbrLimiter.makeUnsafe(options, { permille: () => 1000 })
    assert.deepStrictEqual(
      [1, 2, 3].map(() => self.tryAcquire(60_000)),
      [true, true, false]
    )
    assert.strictEqual(self.inFlight(), 2)
    assert.strictEqual(self.maxPass(60_000), 1)
  })

  it.effect("counts the calls that it protects, and gives back the place of those that are interrupted", () =>
    Effect.gen(function* () {
      const self = yield* BbrLimiter.make(options)
      const protect = BbrLimiter.protect(self)
      const slow = yield* Effect.forkChild(protect(Effect.never), { startImmediately: true })
      const slower = yield* Effect.forkChild(protect(Effect.sleep("30 millis")), { startImmediately: true })
      assert.strictEqual(self.inFlight(), 2)
      assert.strictEqual((yield* Effect.flip(protect(Effect.void)))._tag, "Overloaded")
      yield* TestClock.adjust("30 millis")
      yield* Fiber.join(slower)
      yield* Fiber.interrupt(slow)
      assert.strictEqual(self.inFlight(), 0)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(self.minRt(130), 30)
      assert.strictEqual(self.maxPass(130), 1)
    }).pipe(Effect.provide(CpuUsage.layerConst(900)))
  )
})
