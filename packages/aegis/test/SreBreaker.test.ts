import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as SreBreaker from "../src/SreBreaker.ts"
import * as Chance from "./Chance.ts"

/** As in the Go tests: k 2, 100 requests, ten buckets of 100 ms. */
const golden: SreBreaker.Options = { k: 2, minimumRequests: 100, window: "1 second", buckets: 10, recovery: "formula" }

const ticket = 1
const mark = (self: SreBreaker.SreBreaker, now: number, accepts: number, failures: number) => {
  for (let i = 0; i < accepts; i++) self.succeed(now, ticket)
  for (let i = 0; i < failures; i++) self.fail(now, ticket)
}

describe("SreBreaker, the formula", () => {
  it("has the presets of Kratos v3 and of aegis", () => {
    const rejection = (options: SreBreaker.Options, accepts: number, failures: number) => {
      const self = SreBreaker.makeUnsafe(options, Chance.constant(0))
      mark(self, 0, accepts, failures)
      return self.rejection(0)
    }
    assert.strictEqual(rejection(SreBreaker.kratos, 0, 19), 0)
    assert.strictEqual(rejection(SreBreaker.kratos, 0, 20), 20 / 21)
    assert.strictEqual(rejection(SreBreaker.kratos, 10, 10), 0)
    assert.strictEqual(rejection(SreBreaker.kratos, 10, 30), 20 / 41)
    assert.strictEqual(rejection(SreBreaker.aegis, 0, 99), 0)
    assert.strictEqual(rejection(SreBreaker.aegis, 0, 100), 100 / 101)
    assert.closeTo(rejection(SreBreaker.aegis, 30, 90), (120 - 50) / 121, 1e-12)
  })

  it("stays closed with few requests, and with less than half of them failed", () => {
    const few = SreBreaker.makeUnsafe(golden, Chance.constant(0))
    mark(few, 0, 0, 99)
    assert.notStrictEqual(few.tryAcquire(0), 0)
    const many = SreBreaker.makeUnsafe(golden, Chance.constant(0))
    mark(many, 0, 50_001, 50_000)
    assert.notStrictEqual(many.tryAcquire(0), 0)
    mark(many, 0, 0, 3)
    assert.strictEqual(many.tryAcquire(0), 0)
  })

  it("rejects after 10,000,000 failures, and lets through once they have left the window", () => {
    const self = SreBreaker.makeUnsafe(golden, Chance.seeded("open"))
    mark(self, 0, 100, 0)
    assert.notStrictEqual(self.tryAcquire(0), 0)
    mark(self, 0, 0, 10_000_000)
    assert.strictEqual(self.tryAcquire(0), 0)
    assert.notStrictEqual(self.tryAcquire(2000), 0)
    mark(self, 2000, 1_000_000, 0)
    assert.notStrictEqual(self.tryAcquire(2000), 0)
  })

  it.each([
    { accepts: 343, requests: 1000 },
    { accepts: 100, requests: 1000 },
    { accepts: 450, requests: 1000 },
    { accepts: 5, requests: 1000 }
  ])("rejects with its probability, within 5 % over 100,000 draws: $accepts of $requests accepted", ({ accepts, requests }) => {
    // many of each, so that what the draws themselves add does not count
    const scale = 5000
    const self = SreBreaker.makeUnsafe(golden, Chance.seeded("draws"))
    mark(self, 0, accepts * scale, (requests - accepts) * scale)
    const expected = (requests - 2 * accepts) / requests
    let rejected = 0
    for (let i = 0; i < 100_000; i++) if (self.tryAcquire(0) === 0) rejected++
    assert.closeTo(rejected / 100_000 / expected, 1, 0.05)
  })
})

/** One call a millisecond by the clock of the fiber, on a backend that takes no time and is up or down. Returns how many reached it in each second. */
const simulate = (options: SreBreaker.Options, seconds: number, isUp: (now: number) => boolean) =>
  Effect.gen(function* () {
    const self = yield* SreBreaker.make(options)
    const protect = SreBreaker.protect(self)
    const reached = Array.from({ length: seconds }, () => 0)
    for (let now = 0; now < seconds * 1000; now++) {
      const call = Effect.suspend(() => {
        reached[Math.floor(now / 1000)]! += 1
        return isUp(now) ? Effect.void : Effect.fail("down")
      })
      yield* Effect.exit(protect(call))
      yield* TestClock.adjust(1)
    }
    return reached
  }).pipe(Random.withSeed("simulation"))

/** The same without fibers. */
const replay = (options: SreBreaker.Options, seconds: number, isUp: (now: number) => boolean): ReadonlyArray<number> => {
  const self = SreBreaker.makeUnsafe(options, Chance.seeded("replay"))
  const reached = Array.from({ length: seconds }, () => 0)
  for (let now = 0; now < seconds * 1000; now++) {
    const ticket = self.tryAcquire(now)
    if (ticket === 0) continue
    reached[Math.floor(now / 1000)]! += 1
    if (isUp(now)) self.succeed(now, ticket)
    else self.fail(now, ticket)
  }
  return reached
}

const sum = (values: ReadonlyArray<number>) => values.reduce((total, value) => total + value, 0)

describe("SreBreaker at 1,000 calls a second", () => {
  it.effect("trips within 3 s, sends a dead backend one call a second at most, and is back within 5 s of its recovery", () =>
    Effect.gen(function* () {
      // down from second 5 to second 25
      const reached = yield* simulate({}, 32, (now) => now < 5000 || now >= 25_000)
      assert.deepStrictEqual(reached.slice(0, 5), [1000, 1000, 1000, 1000, 1000])
      for (let second = 8; second < 25; second++) assert.isAtMost(reached[second]!, 1, `second ${second}`)
      assert.isAtLeast(sum(reached.slice(8, 25)), 10, "probes go on")
      assert.isAtLeast(reached[29]!, 950)
      assert.deepStrictEqual(reached.slice(30), [1000, 1000])
    })
  )

  it("does so where the formula alone takes longer", () => {
    const reached = replay(SreBreaker.kratos, 34, (now) => now < 5000 || now >= 25_000)
    for (let second = 9; second < 25; second++) assert.isAtMost(reached[second]!, 5, `second ${second}`)
    assert.isAtMost(reached[29]!, 500)
  })

  it("trips for a client that never saw the backend up", () => {
    const reached = replay({}, 10, () => false)
    assert.isAtMost(sum(reached.slice(0, 3)), 100)
    for (let second = 3; second < 10; second++) assert.isAtMost(reached[second]!, 1, `second ${second}`)
  })

  it("lets a backend work of which half the calls succeed, and saves one of which nearly none do", () => {
    const half = replay({}, 20, (now) => now < 5000 || now % 2 === 0)
    assert.isAtLeast(sum(half.slice(8)), 11_000)
    // probes meet a moment of life now and then
    const eighth = replay({}, 40, (now) => now < 5000 || now % 8 === 0)
    assert.isAtMost(sum(eighth.slice(10)) / 30, 20)
  })

  it("keeps its word wherever in a bucket a backend dies, with the constants of aegis too", () => {
    const fast = { recovery: {} }
    for (const options of [{}, { ...SreBreaker.aegis, ...fast }]) {
      for (const offset of [0, 37, 150, 299]) {
        const reached = replay(options, 24, (now) => now < 5000 + offset || now >= 15_000 + offset)
        // from the first whole second that begins 3 s after its end
        for (let second = 9; second < 15; second++) assert.isAtMost(reached[second]!, 1, `offset ${offset}, second ${second}`)
        assert.isAtLeast(reached[20]!, 950)
        assert.isAtLeast(reached[21]!, 1000)
      }
    }
  })

  it("costs a backend that dies again during the ramp a handful of calls", () => {
    const self = SreBreaker.makeUnsafe({}, Chance.seeded("relapse"))
    mark(self, 0, 0, 30)
    assert.strictEqual(self.tryAcquire(0), 0)
    const probe = self.tryAcquire(1200)
    self.succeed(1200, probe)
    let sent = 0
    for (let now = 1201; now < 3200; now++) {
      const ticket = self.tryAcquire(now)
      if (ticket === 0) continue
      sent++
      self.fail(now, ticket)
    }
    assert.strictEqual(self.state(), "open")
    // the ramp's and at most two probes
    assert.isAtMost(sent, 8)
    assert.isAtLeast(sent, 4)
  })

  it("does so too when an answer takes 300 ms and a failure a second", () => {
    const self = SreBreaker.makeUnsafe({}, Chance.seeded("latency"))
    const ends: Array<{ readonly at: number; readonly ticket: SreBreaker.Ticket; readonly isUp: boolean }> = []
    const reached = Array.from({ length: 32 }, () => 0)
    for (let now = 0; now < 32_000; now++) {
      for (let i = 0; i < ends.length; i++) {
        const { at, isUp, ticket } = ends[i]!
        if (at > now) continue
        if (isUp) self.succeed(now, ticket)
        else self.fail(now, ticket)
        ends.splice(i--, 1)
      }
      const ticket = self.tryAcquire(now)
      if (ticket === 0) continue
      reached[Math.floor(now / 1000)]! += 1
      const isUp = now < 5000 || now >= 25_000
      ends.push({ ticket, isUp, at: now + (isUp ? 300 : 1000) })
    }
    // the last answers come 0.3 s after the end, the first failure after 1 s, and 3 s later it has tripped
    for (let second = 9; second < 25; second++) assert.isAtMost(reached[second]!, 1, `second ${second}`)
    assert.isAtLeast(reached[29]!, 950)
    assert.deepStrictEqual(reached.slice(30), [1000, 1000])
  })

  it.effect("counts neither its own rejections nor interrupted calls while it waits for a backend", () =>
    Effect.gen(function* () {
      const self = yield* SreBreaker.make()
      const protect = SreBreaker.protect(self)
      for (let i = 0; i < 100; i++) yield* Effect.exit(protect(Effect.fail("down")))
      assert.strictEqual(self.state(), "open")
      for (let i = 0; i < 100_000; i++) assert.strictEqual(self.tryAcquire(0), 0)
      yield* TestClock.adjust("1200 millis")
      // a probe that is interrupted is followed by another one
      const probe = yield* Effect.forkChild(protect(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(probe)
      assert.strictEqual(self.state(), "open")
      assert.strictEqual((yield* Effect.flip(protect(Effect.void)))._tag, "CircuitOpen")
      yield* TestClock.adjust("1200 millis")
      yield* protect(Effect.void)
      assert.strictEqual(self.state(), "recovering")
      yield* TestClock.adjust("2 seconds")
      yield* protect(Effect.void)
      assert.strictEqual(self.state(), "closed")
    }).pipe(Random.withSeed("own"))
  )

  it.effect("takes an interrupted call neither for a failure nor for a success", () =>
    Effect.gen(function* () {
      const self = yield* SreBreaker.make({ minimumRequests: 1, recovery: "formula" })
      const protect = SreBreaker.protect(self)
      for (let i = 0; i < 5; i++) yield* Fiber.interrupt(yield* Effect.forkChild(protect(Effect.never), { startImmediately: true }))
      assert.strictEqual(self.rejection(0), 0)
      yield* Effect.exit(protect(Effect.fail("down")))
      assert.strictEqual(self.rejection(0), 1 / 2)
    })
  )

  it("waits up to a fifth longer for a probe, by chance", () => {
    for (const [draw, wait] of [
      [0, 1000],
      [0.5, 1100],
      [0.999, 1199.8]
    ] as const) {
      const self = SreBreaker.makeUnsafe({}, Chance.constant(draw))
      mark(self, 0, 0, 30)
      self.tryAcquire(0)
      assert.deepStrictEqual([self.rejection(wait - 0.1), self.tryAcquire(wait - 0.1)], [1, 0])
      assert.strictEqual(self.rejection(wait + 0.1), 0)
      assert.notStrictEqual(self.tryAcquire(wait + 0.1), 0)
    }
  })

  it("hears nothing of calls that were sent before it opened", () => {
    const self = SreBreaker.makeUnsafe({}, Chance.constant(0))
    const early = self.tryAcquire(0)
    mark(self, 0, 0, 30)
    assert.strictEqual(self.tryAcquire(0), 0)
    assert.strictEqual(self.state(), "open")
    self.succeed(100, early)
    assert.strictEqual(self.state(), "open")
    const probe = self.tryAcquire(1000)
    assert.notStrictEqual(probe, 0)
    self.succeed(1001, probe)
    assert.strictEqual(self.state(), "recovering")
    for (let i = 0; i < 50; i++) self.fail(1002, early)
    assert.strictEqual(self.state(), "recovering")
  })

  it("goes on probing when the clock is set back by an hour", () => {
    const hour = 3_600_000
    const self = SreBreaker.makeUnsafe({}, Chance.constant(0.5))
    mark(self, 2 * hour, 0, 30)
    assert.strictEqual(self.tryAcquire(2 * hour), 0)
    const probe = self.tryAcquire(hour)
    assert.notStrictEqual(probe, 0)
    assert.strictEqual(self.tryAcquire(hour), 0)
    self.succeed(hour, probe)
    self.tryAcquire(0)
    assert.notStrictEqual(self.tryAcquire(2000), 0)
    assert.strictEqual(self.state(), "closed")
  })

  it.effect("counts as failures what it is told to", () =>
    Effect.gen(function* () {
      const lenient = yield* SreBreaker.make()
      for (let i = 0; i < 100; i++) {
        yield* Effect.exit(SreBreaker.protect(lenient)(Effect.fail("not found"), { isFailure: () => false }))
      }
      assert.strictEqual(lenient.rejection(0), 0)
      const strict = yield* SreBreaker.make({ recovery: "formula" })
      for (let i = 0; i < 30; i++) yield* Effect.exit(SreBreaker.protect(strict)(Effect.void, { isFailure: () => true }))
      assert.isAbove(strict.rejection(0), 0.9)
    })
  )
})
