import { assert, describe, it } from "@effect/vitest"
import * as BbrLimiter from "../src/BbrLimiter.ts"
import * as CpuUsage from "../src/CpuUsage.ts"

interface Outcome {
  /** Calls completed a second. */
  readonly goodput: number
  /** The 99th percentile of their latency, in milliseconds. */
  readonly p99: number
}

/**
 * A server whose calls take 2 ms of its one processor, first come, first served, then wait for 20 ms: 500 calls a second at most. Calls come at `rate(now)` a second.
 * Returns what became of those that ended in the last ten seconds.
 */
const serve = (limited: boolean, seconds: number, rate: (now: number) => number): Outcome => {
  let cpu = 0
  const limiter = BbrLimiter.makeUnsafe({}, { permille: () => cpu })
  const running: Array<{ readonly start: number; readonly end: number }> = []
  const latencies: Array<number> = []
  let free = 0
  let busy = 0
  let arrived = 0
  for (let now = 0; now < seconds * 1000; now++) {
    if (now % 250 === 0) {
      // as CpuUsage.responsive says
      cpu = CpuUsage.smooth(cpu, (busy / 250) * 1000, 0.7)
      busy = 0
    }
    if (free > now) busy++
    while (running.length > 0 && running[0]!.end <= now) {
      const { start } = running.shift()!
      if (limited) limiter.done(start, now)
      if (now >= (seconds - 10) * 1000) latencies.push(now - start)
    }
    arrived += rate(now) / 1000
    while (arrived >= 1) {
      arrived--
      if (limited && !limiter.tryAcquire(now)) continue
      free = Math.max(free, now) + 2
      running.push({ start: now, end: free + 20 })
    }
  }
  const sorted = latencies.toSorted((a, b) => a - b)
  return { goodput: latencies.length / 10, p99: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN }
}

describe("BbrLimiter under load", () => {
  const usual = () => 350
  const steady = serve(true, 20, usual)

  it("drops nothing while the server keeps up", () => {
    assert.closeTo(steady.goodput, 350, 1)
    assert.isAtMost(steady.p99, 30)
  })

  it("keeps goodput and latency at four times what the server can do", () => {
    const overload = (now: number) => (now < 15_000 ? 350 : 2000)
    const { goodput, p99 } = serve(true, 40, overload)
    assert.isAtLeast(goodput, 0.9 * 500)
    assert.isAtMost(p99, 2 * steady.p99 + 50)
    // what happens without
    assert.isAtLeast(serve(false, 40, overload).p99, 10_000)
  })
})
