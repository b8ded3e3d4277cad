/**
 * Four times the calls that a node can do, with BBR: it goes on doing what it can, in good time, and refuses the rest at once. What it can do is measured
 * first, on a node of the same make without a limiter. The laws are for the time after the limiter has noticed.
 */
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fleet from "../Fleet.ts"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Scenario } from "../Scenario.ts"

/** Each call waits for something else, and takes processor time, in milliseconds. */
const WAIT = 3
const BURN = 0.5
const OVERLOAD = 4
/** Seconds until the limiter has noticed, and what came before has been worked off. */
const NOTICE = 3
/** As many calls at a time as keep a node busy. */
const AT_ONCE = 16

const run = Effect.fnUntraced(function* (seconds: number) {
  const fleet = yield* Fleet.make({ wait: WAIT, burn: BURN })
  const bare = yield* fleet.start({ id: "bare" })
  const limited = yield* fleet.start({ id: "limited", limited: true })
  const journal = Journal.make()
  const clientOf = (node: Fleet.Node) =>
    Effect.map(Fleet.client(`127.0.0.1:${node.ready}`, { aspects: Journal.client }), (work) => journal.record()(work.once({})))
  const callBare = yield* clientOf(bare)
  const callLimited = yield* clientOf(limited)

  /** Callers that wait for each reply, so that the node is busy and no more. */
  const saturate = Effect.fnUntraced(function* (length: number) {
    const from = journal.entries.length
    const start = yield* Clock.currentTimeMillis
    const clock = yield* Clock.Clock
    const end = start + length * 1000
    const caller = Effect.whileLoop({
      while: () => clock.currentTimeMillisUnsafe() < end,
      body: () => Effect.exit(callBare),
      step: () => undefined
    })
    yield* Effect.all(
      Array.from({ length: AT_ONCE }, () => caller),
      { concurrency: "unbounded", discard: true }
    )
    const calls = journal.entries.slice(from)
    return { rate: (calls.length * 1000) / ((yield* Clock.currentTimeMillis) - start), calls }
  })
  yield* saturate(2)
  const peak = yield* saturate(seconds / 4)
  const peakP99 = Laws.percentile(Laws.durations(peak.calls), 0.99)

  yield* Load.steady({ rate: peak.rate * 0.7, duration: "3 seconds" }, () => callLimited)
  const length = (seconds * 3) / 4
  const overload = { rate: peak.rate * OVERLOAD, maxInFlight: 50_000 }
  const noticing = journal.entries.length
  yield* Effect.forkScoped(Load.steady({ ...overload, duration: `${NOTICE} seconds` }, () => callLimited))
  yield* Effect.sleep(`${NOTICE} seconds`)
  const from = journal.entries.length
  const start = yield* Clock.currentTimeMillis
  const own = monitorEventLoopDelay({ resolution: 2 })
  own.enable()
  const { dropped } = yield* Load.steady({ ...overload, duration: `${length} seconds` }, () => callLimited)
  own.disable()
  const took = ((yield* Clock.currentTimeMillis) - start) / 1000
  const calls = journal.entries.slice(from)
  const first = journal.entries.slice(noticing, from).filter(({ outcome }) => outcome === "ok")
  const admitted = calls.filter(({ outcome }) => outcome === "ok")
  const rejected = calls.filter(({ outcome }) => outcome === RateLimit.reason)
  const goodput = admitted.length / took
  const p99 = Laws.percentile(Laws.durations(admitted), 0.99)
  return Verdict.make(
    scenario.name,
    [
      Laws.noneFailed(peak.calls, "failed calls at the peak"),
      Verdict.none(
        "calls that failed otherwise than by the limiter",
        calls.flatMap(({ id, message, outcome }) =>
          outcome === "ok" || outcome === RateLimit.reason ? [] : [`${id}: ${outcome} ${message}`]
        )
      ),
      Verdict.equal("calls that were due and not made", dropped, 0),
      Verdict.timed(Verdict.atLeast("goodput against the peak", goodput / peak.rate, 0.9)),
      Verdict.timed(Verdict.atMost("p99 of admitted calls", p99, 2 * peakP99 + 50, " ms, 2 × that of the peak + 50 ms")),
      Verdict.timed(Verdict.atMost("rejections, p99", Laws.percentile(Laws.durations(rejected), 0.99), 5, " ms")),
      Verdict.atLeast("rejected calls", rejected.length, calls.length / 4)
    ],
    {
      "peak calls/s": peak.rate,
      "peak p99 ms": peakP99,
      "offered calls/s": calls.length / took,
      "goodput calls/s": goodput,
      [`p99 of the first ${NOTICE} s, ms`]: Laws.percentile(Laws.durations(first), 0.99),
      // what the load itself adds to each time: it is one thread too
      "the load's own event loop p50 ms": own.percentile(50) / 1e6,
      "its p99 ms": own.percentile(99) / 1e6,
      "rejections p50 ms": Laws.percentile(Laws.durations(rejected), 0.5)
    }
  )
})

export const scenario: Scenario = {
  name: "overload",
  about: "4 × the calls that a node can do, with BBR",
  seconds: { full: 60, short: 20 },
  run
}
