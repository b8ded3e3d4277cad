/**
 * One of three nodes is killed (SIGKILL) every ten seconds and another takes its place, while calls come at a steady rate. What may be executed twice is
 * tried again on another node and no caller sees a failure; what may not be is not, and may fail.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Fleet from "../Fleet.ts"
import * as RegistryClient from "../registry/RegistryClient.ts"
import * as RegistryServer from "../registry/RegistryServer.ts"
import type { Scenario } from "../Scenario.ts"

const NODES = 3
/** Idempotent calls a second; beside them, one in ten that is not. */
const RATE = 500
const EVERY = 10
const TTL = 5000

const run = Effect.fnUntraced(function* (seconds: number) {
  const registry = yield* RegistryServer.make
  const address = `${registry.address.host}:${registry.address.port}`
  const fleet = yield* Fleet.make({ registry: address, ttl: TTL, wait: 5 })
  const start = Effect.fnUntraced(function* (id: string) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return { node: yield* Scope.provide(fleet.start({ id }), scope), scope }
  })
  const nodes = yield* Effect.forEach(
    Array.from({ length: NODES }, (_, i) => `node-${i}`),
    start,
    { concurrency: NODES }
  )
  const channels = Channels.layer.pipe(Layer.provide(RegistryClient.layer({ address, ttl: TTL })))
  const work = yield* Fleet.client("discovery:///chaos", { aspects: Aspect.compose(Retry.make(), Journal.client) }, channels)
  const journal = Journal.make()
  const idempotent = journal.record({ idempotent: true, kind: "idempotent" })(work.do({}))
  const once = journal.record({ kind: "once" })(work.once({}))
  yield* Effect.all([work.do({}), work.once({})])

  let kills = 0
  const killing = Effect.gen(function* () {
    const begin = yield* Clock.currentTimeMillis
    for (;;) {
      // every ten seconds, however long it takes until the last victim's place is taken
      const due = begin + (kills + 0.5) * EVERY * 1000
      yield* Effect.sleep(Math.max(0, due - (yield* Clock.currentTimeMillis)))
      const [victim] = nodes.splice(kills % NODES, 1)
      if (victim !== undefined) {
        yield* victim.node.kill
        yield* Scope.close(victim.scope, Exit.void)
      }
      kills++
      nodes.push(yield* start(`node-${NODES + kills}`))
    }
  })
  const load = Effect.all(
    [
      Load.steady({ rate: RATE, duration: `${seconds} seconds` }, () => idempotent),
      Load.steady({ rate: RATE / 10, duration: `${seconds} seconds` }, () => once)
    ],
    { concurrency: 2 }
  )
  yield* Effect.raceFirst(load, killing)

  const executions = yield* fleet.journal
  const again = journal.entries.filter(({ kind }) => kind === "idempotent")
  const others = journal.entries.filter(({ kind }) => kind === "once")
  return Verdict.make(
    scenario.name,
    [
      Laws.noneFailed(again, "failed idempotent calls"),
      Laws.attemptsAtMost(again, 1.05),
      Laws.nothingTwice(others, executions),
      Laws.everyExecuted(journal.entries, executions),
      Verdict.atLeast("nodes killed", kills, Math.max(1, Math.floor((seconds - EVERY) / EVERY)))
    ],
    {
      calls: again.length,
      kills,
      "calls tried again": again.filter(({ attempts }) => attempts > 1).length,
      "not idempotent": others.length,
      "of these failed": others.filter(({ outcome }) => outcome !== "ok").length,
      "p99 ms": Laws.percentile(Laws.durations(again), 0.99),
      "longest ms": Laws.percentile(Laws.durations(again), 1)
    }
  )
})

export const scenario: Scenario = {
  name: "kill",
  about: "kill -9 of one of 3 nodes every 10 s, 500 idempotent calls/s and 50 that are not",
  seconds: { full: 300, short: 60 },
  run
}
