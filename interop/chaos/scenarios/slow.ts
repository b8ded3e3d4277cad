/** One of five nodes becomes ten times slower, without failing. P2C keeps calls away from it, so that callers hardly notice. */
import * as P2c from "@effect-kratos/core/selector/P2c"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fleet from "../Fleet.ts"
import type { Scenario } from "../Scenario.ts"

const NODES = 5
/**
 * Nodes have hardly ever two calls at a time then. Where they have, P2C as Kratos has it takes the slow node as soon as the other has two or three (its load
 * grows with the root of the latency), which is 1 to 3 % of the calls: within the 5 %, but then the fleet's p99 is that of the slow node.
 */
const RATE = 100
/** What a call takes on a healthy node, in milliseconds. */
const WAIT = 5
const SLOWER = 10
/** Seconds that the balancer has to notice. */
const NOTICE = 3

const run = Effect.fnUntraced(function* (seconds: number) {
  const fleet = yield* Fleet.make({ wait: WAIT })
  const ids = Array.from({ length: NODES }, (_, i) => `node-${i}`)
  const nodes = yield* Effect.forEach(ids, (id) => fleet.start({ id }), { concurrency: 3 })
  // the way to each node is alike, so that only the fault makes a difference
  const proxies = yield* Effect.forEach(nodes, (node) => FaultProxy.make({ upstream: { host: "127.0.0.1", port: node.ready } }))
  const target = `direct:///${proxies.map(({ address }) => `${address.host}:${address.port}`).join(",")}`
  const channels = Channels.layerDirect.pipe(Layer.provide(Channels.options({ selector: { balancer: P2c.make } })))
  const work = yield* Fleet.client(target, { aspects: Journal.client }, channels)
  const journal = Journal.make()
  const call = journal.record()(work.do({}))
  const phase = Effect.fnUntraced(function* (length: number) {
    const from = journal.entries.length
    yield* Load.steady({ rate: RATE, duration: `${length} seconds` }, () => call)
    return journal.entries.slice(from)
  })

  const long = Math.max(4, (seconds - NOTICE) / 2)
  yield* phase(2) // connects, warms up
  const healthy = yield* phase(long)
  const delay = (WAIT * (SLOWER - 1)) / 2
  const share = (calls: ReadonlyArray<Journal.ClientEntry>, id: string) => calls.filter(({ node }) => node === id).length / calls.length
  // the one that most calls went to: with next to nothing in flight, P2C prefers whoever is a little faster
  const victim = ids.toSorted((a, b) => share(healthy, b) - share(healthy, a))[0]! // there are five
  const slow = proxies[ids.indexOf(victim)]! // one for each
  const sick = yield* slow.during(Fault.latency({ delay }))(Effect.andThen(phase(NOTICE), phase(long)))

  const p99 = (calls: ReadonlyArray<Journal.ClientEntry>) => Laws.percentile(Laws.durations(calls), 0.99)
  return Verdict.make(
    scenario.name,
    [
      Laws.noneFailed(journal.entries),
      Verdict.atLeast("share of the node while it is healthy", share(healthy, victim), 0.1),
      Verdict.atMost(`share of the node after ${NOTICE} s of being ${SLOWER} times slower`, share(sick, victim), 0.05),
      Verdict.atLeast("calls that still find out about it", share(sick, victim) * sick.length, 1),
      Verdict.timed(Verdict.atMost("p99 of all calls against the healthy p99", p99(sick) / p99(healthy), 1.5))
    ],
    { calls: journal.entries.length, "healthy p99 ms": p99(healthy), "p99 ms": p99(sick) }
  )
})

export const scenario: Scenario = {
  name: "slow",
  about: "one of 5 nodes becomes 10 times slower, P2C, 100 calls/s",
  seconds: { full: 60, short: 23 },
  run
}
