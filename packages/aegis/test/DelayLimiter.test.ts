import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as DelayLimiter from "../src/DelayLimiter.ts"
import * as EventLoop from "../src/EventLoop.ts"

/** What a call waits for, and what it then computes, in milliseconds. */
interface Work {
  readonly wait: number
  readonly compute: number
}

interface Second {
  offered: number
  admitted: number
  ended: number
  /** The longest that a call took, and that one waited to be refused, in milliseconds. */
  slowest: number
  slowestRefusal: number
}

/** Milliseconds that a refusal takes. */
const REFUSAL = 0.02
/** Calls come together every so many milliseconds. */
const STEP = 5

interface Options extends DelayLimiter.Options {
  readonly limited?: boolean
  readonly seconds: number
  /** Calls a second. */
  readonly rate: (second: number) => number
  readonly work: Work
}

/**
 * A server of one thread with a clock of its own. Each turn it takes what has come since it looked last, and then works for a millisecond on what is ready, first
 * come, first served; the looks of `EventLoop` wait in the same line. Where there are two classes, calls are of each by turns.
 */
const serve = Effect.fnUntraced(function* ({ limited = true, rate, seconds, work, ...options }: Options) {
  const ready: Array<() => number> = []
  let dispatching = false
  const scheduler = {
    executionMode: "async" as const,
    shouldYield: (fiber: Fiber.Fiber<unknown, unknown>) => fiber.currentOpCount === 1 && !dispatching,
    makeDispatcher: () => ({
      scheduleTask: (task: () => void) => void ready.push(() => (task(), 0)),
      flush: () => undefined
    })
  }
  let active = 0
  let turned: Array<() => void> = []
  let now = 0
  let clock = 0
  const timers: Array<{ readonly until: number; readonly wake: () => void }> = []
  const time: Clock.Clock = {
    ...(yield* Clock.Clock),
    currentTimeMillisUnsafe: () => clock,
    monotonicTimeNanosUnsafe: () => BigInt(clock) * 1_000_000n,
    sleep: (duration) =>
      Effect.callback<void>((resume) => void timers.push({ until: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }))
  }
  const loop = yield* EventLoop.make({ active: () => active, nextTurn: (task) => void turned.push(task), scheduler }).pipe(
    Effect.provideService(Clock.Clock, time)
  )
  const limiter = DelayLimiter.make(options, loop)
  const empty = (): Second => ({ offered: 0, admitted: 0, ended: 0, slowest: 0, slowestRefusal: 0 })
  const result: Array<Second> = []
  const admittedOf = [0, 0]
  const waiting: Array<{ readonly until: number; readonly run: () => number }> = []
  let second = empty()
  let due = 0
  let owed = 0
  let count = 0
  while (result.length < seconds) {
    for (const task of turned.splice(0)) task()
    let spent = 0
    for (; due <= now; due += STEP) {
      owed += (rate(result.length) * STEP) / 1000
      for (; owed >= 1; owed--) {
        const came = due
        const rank = options.classes === 2 ? count++ % 2 : 0
        second.offered++
        if (limited && !limiter.tryAcquire(clock, rank)) {
          spent += REFUSAL
          second.slowestRefusal = Math.max(second.slowestRefusal, now + spent - came)
          continue
        }
        second.admitted++
        admittedOf[rank]!++
        const run = () => {
          second.ended++
          second.slowest = Math.max(second.slowest, now + spent + work.compute - came)
          limiter.done(came, now + spent + work.compute)
          return work.compute
        }
        if (work.wait === 0) ready.push(run)
        else waiting.push({ until: now + work.wait, run })
      }
    }
    for (const { until, wake } of timers.splice(0)) {
      if (until <= now) wake()
      else timers.push({ until, wake })
    }
    while (waiting[0] !== undefined && waiting[0].until <= now) ready.push(waiting.shift()!.run)
    dispatching = true
    const began = spent
    while (ready.length > 0 && spent - began < 1) spent += ready.shift()!()
    dispatching = false
    active += spent
    now += spent > 0 ? spent : 0.5
    // the clock shows whole milliseconds
    clock = Math.floor(now)
    if (clock >= (result.length + 1) * 1000) {
      result.push(second)
      second = empty()
    }
  }
  // what looks is interrupted when the scope closes, which takes its turn too
  dispatching = true
  for (const task of ready.splice(0)) task()
  return { seconds: result, admittedOf }
}, Effect.scoped)

const works: Readonly<Record<string, Work>> = {
  "that wait, then compute": { wait: 3, compute: 0.5 },
  "that compute at once": { wait: 0, compute: 0.5 },
  "that wait long": { wait: 100, compute: 1 }
}

describe("DelayLimiter", () => {
  for (const [name, work] of Object.entries(works)) {
    const peak = 1000 / work.compute

    it.effect(`refuses nothing at nine tenths of what a server can do: handlers ${name}`, () =>
      Effect.gen(function* () {
        const { seconds } = yield* serve({ seconds: 10, rate: () => 0.9 * peak, work })
        for (const { admitted, offered } of seconds) assert.strictEqual(admitted, offered)
        assert.isAtLeast(seconds.at(-1)!.ended, 0.89 * peak)
      })
    )

    it.effect(`keeps goodput and delay at four times what a server can do, and stops when that ends: handlers ${name}`, () =>
      Effect.gen(function* () {
        const rate = (second: number) => (second < 2 ? 0.5 : second < 8 ? 4 : 0.9) * peak
        const { seconds } = yield* serve({ seconds: 12, rate, work })
        const later = seconds.slice(4, 8)
        for (const { slowest, slowestRefusal } of later) {
          assert.isAtMost(slowest, 2 * (work.wait + work.compute) + 50)
          assert.isAtMost(slowestRefusal, 5)
        }
        for (const { admitted, ended, offered } of later) {
          // what refusals leave
          const left = 1000 - (offered - admitted) * REFUSAL
          assert.isAtLeast(ended * work.compute, 0.9 * left)
        }
        for (const { admitted, offered } of seconds.slice(10)) assert.strictEqual(admitted, offered)
      })
    )
  }

  it.effect("what happens without", () =>
    Effect.gen(function* () {
      const { seconds } = yield* serve({ limited: false, seconds: 4, rate: () => 8000, work: { wait: 3, compute: 0.5 } })
      assert.isAtLeast(seconds.at(-1)!.slowest, 2000)
    })
  )

  it.effect("sheds the cheap first, in whatever order calls come", () =>
    Effect.gen(function* () {
      const common = { classes: 2, work: { wait: 3, compute: 0.5 } }
      // each class comes at 0.8 of what the server can do
      const { admittedOf, seconds } = yield* serve({ ...common, seconds: 8, rate: () => 3200 })
      const offered = seconds.reduce((sum, { offered }) => sum + offered, 0) / 2
      assert.isAtLeast(admittedOf[0]!, 0.95 * offered)
      assert.isAtMost(admittedOf[1]!, 0.4 * offered)
      // and the cheap have what is left
      assert.isAtLeast(admittedOf[1]!, 0.1 * offered)
    })
  )
})
