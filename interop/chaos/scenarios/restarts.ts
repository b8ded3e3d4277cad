/**
 * Rolling restarts by SIGTERM while calls come at a steady rate, without any retry: a node that leaves says so, finishes what it has begun, and nothing
 * that it was asked is lost. Streams cannot be finished; they end with an error that says why.
 */
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fleet from "../Fleet.ts"
import * as RegistryClient from "../registry/RegistryClient.ts"
import * as RegistryServer from "../registry/RegistryServer.ts"
import type { Scenario } from "../Scenario.ts"

const NODES = 3
const STREAMS = 50
const RATE = 1000
const TTL = 3000
/** The reason of the error that a server ends streams with when it goes. */
const GOING_AWAY = "GOING_AWAY"

const run = Effect.fnUntraced(function* (seconds: number) {
  const registry = yield* RegistryServer.make
  const address = `${registry.address.host}:${registry.address.port}`
  const fleet = yield* Fleet.make({ registry: address, ttl: TTL, wait: 2 })
  const start = Effect.fnUntraced(function* (id: string) {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return { node: yield* Scope.provide(fleet.start({ id }), scope), scope }
  })
  let nodes = yield* Effect.forEach(
    Array.from({ length: NODES }, (_, i) => `node-${i}`),
    start,
    { concurrency: 3 }
  )
  const channels = Channels.layer.pipe(Layer.provide(RegistryClient.layer({ address, ttl: TTL })))
  const work = yield* Fleet.client("discovery:///chaos", { aspects: Journal.client }, channels)
  const journal = Journal.make()

  // each stream is opened again when it ends, so that there are always so many
  const stream = journal.record({ kind: "stream" })(Stream.runDrain(work.follow({ waitMs: 100 })))
  yield* Effect.forEach(Array.from({ length: STREAMS }), () =>
    Effect.forkScoped(Effect.forever(Effect.andThen(Effect.exit(stream), Effect.sleep("10 millis"))))
  )
  yield* Effect.sleep("1 second")

  const call = journal.record({ kind: "unary" })(work.once({}))
  const steadySeconds = Math.max(3, seconds * 0.2)
  yield* Load.steady({ rate: RATE, duration: `${Math.min(2, seconds / 10)} seconds` }, () => call) // warms up
  const warm = journal.entries.length
  yield* Load.steady({ rate: RATE, duration: `${steadySeconds} seconds` }, () => call)
  const before = journal.entries.length

  const began = yield* Clock.currentTimeMillis
  let restarts = 0
  const exits: Array<number | string> = []
  const rolling = Effect.gen(function* () {
    const total = Math.max(3, Math.round((20 * seconds) / scenario.seconds.full))
    for (; restarts < total; restarts++) {
      const [oldest, ...others] = nodes
      if (oldest === undefined) return
      const next = yield* start(`node-${NODES + restarts}`)
      nodes = [...others, next]
      const { code } = yield* oldest.node.terminate
      exits.push(code)
      yield* Scope.close(oldest.scope, Exit.void)
    }
  })
  const loop = Load.steady({ rate: RATE, duration: "1 second" }, () => call)
  const rollingFiber = yield* Effect.forkScoped(rolling)
  while (rollingFiber.pollUnsafe() === undefined || (yield* Clock.currentTimeMillis) - began < seconds * 1000 * 0.6) yield* loop
  yield* Fiber.join(rollingFiber)

  const unary = journal.entries.filter(({ kind }) => kind === "unary")
  const steady = Laws.percentile(Laws.durations(journal.entries.slice(warm, before).filter(({ kind }) => kind === "unary")), 0.99)
  const during = Laws.percentile(Laws.durations(journal.entries.slice(before).filter(({ kind }) => kind === "unary")), 0.99)
  const streams = journal.entries.filter(({ end, kind }) => kind === "stream" && end !== undefined)
  const executions = yield* fleet.journal
  return Verdict.make(
    scenario.name,
    [
      Laws.noneFailed(unary, "failed unary calls, retries off"),
      Laws.nothingTwice(unary, executions),
      Laws.everyExecuted(unary, executions),
      Verdict.none(
        "streams that ended otherwise than with GOING_AWAY",
        streams.flatMap(({ id, message, outcome }) => (outcome === GOING_AWAY ? [] : [`${id}: ${outcome} ${message}`]))
      ),
      Verdict.atLeast("streams that restarts ended", streams.length, restarts),
      Verdict.none("nodes whose exit code is not 0", exits.filter((code) => code !== 0).map(String)),
      Verdict.timed(Verdict.atMost("p99 while nodes restart against the steady p99", during / steady, 2))
    ],
    { calls: unary.length, restarts, "steady p99 ms": steady, "p99 ms": during, streams: streams.length }
  )
})

export const scenario: Scenario = {
  name: "restarts",
  about: "20 rolling restarts by SIGTERM, 1000 calls/s, 50 open streams, retries off",
  seconds: { full: 120, short: 25 },
  run
}
