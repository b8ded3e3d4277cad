/**
 * The registry is gone, for longer than registrations live, while calls go on. Callers keep what they know; when the
 * registry is back it knows nobody, and the nodes come back to it, not all at once.
 */
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Fleet from "../Fleet.ts"
import * as RegistryClient from "../registry/RegistryClient.ts"
import * as RegistryServer from "../registry/RegistryServer.ts"
import type { Scenario } from "../Scenario.ts"

const NODES = 6
const RATE = 200
/** Of a registration, in milliseconds. */
const TTL = 5000
const NAME = "chaos"

const run = Effect.fnUntraced(function* (seconds: number) {
  const registry = yield* RegistryServer.make
  const proxy = yield* FaultProxy.make({ upstream: registry.address })
  const address = `${proxy.address.host}:${proxy.address.port}`
  const fleet = yield* Fleet.make({ name: NAME, registry: address, ttl: TTL, wait: 1 })
  const ids = Array.from({ length: NODES }, (_, i) => `node-${i}`)
  yield* Effect.forEach(ids, (id) => fleet.start({ id }), { concurrency: 3 })
  const channels = Channels.layer.pipe(Layer.provide(RegistryClient.layer({ address, ttl: TTL })))
  const work = yield* Fleet.client(`discovery:///${NAME}`, { aspects: Journal.client }, channels)
  const journal = Journal.make()
  const call = journal.record()(work.once({}))
  const listed = () => new Set(registry.list(NAME))

  yield* call
  const before = listed().size
  // registrations have to be gone when the registry is back
  const away = Math.max(seconds, (TTL / 1000) * 1.5)
  const load = yield* Effect.forkScoped(Load.steady({ rate: RATE, duration: `${away + (2 * TTL) / 1000 + 7} seconds` }, () => call))
  yield* proxy.during(Fault.down)(Effect.sleep(`${away} seconds`))
  const back = yield* Clock.currentTimeMillis
  const forgotten = NODES - listed().size
  const limit = 2 * TTL + 5000
  const complete = Effect.repeat(
    Effect.delay(
      Effect.sync(() => listed().size),
      "20 millis"
    ),
    { until: (size) => size === NODES }
  )
  yield* Effect.timeoutOrElse(complete, { duration: limit * 2, orElse: () => Effect.void })
  const took = listed().size === NODES ? (yield* Clock.currentTimeMillis) - back : Infinity
  yield* Fiber.join(load)

  const returns = registry.registrations.filter(({ at }) => at >= back).map(({ at }) => at)
  const apart = Math.max(...returns) - Math.min(...returns)
  /** How many came within any tenth of a second. */
  const crowd = Math.max(...returns.map((at) => returns.filter((other) => other >= at && other < at + 100).length))
  const executions = yield* fleet.journal
  return Verdict.make(
    scenario.name,
    [
      Laws.noneFailed(journal.entries),
      Laws.nothingTwice(journal.entries, executions),
      Laws.everyExecuted(journal.entries, executions),
      Verdict.equal("instances listed before", before, NODES),
      Verdict.equal("instances that the registry had forgotten", forgotten, NODES),
      Verdict.atMost("all instances listed again", took, limit, " ms after its return"),
      Verdict.atLeast("registrations spread over", apart, 500, " ms"),
      Verdict.atMost("registrations within 100 ms", crowd, NODES / 2)
    ],
    { calls: journal.entries.length, "seconds away": away, "spread ms": apart }
  )
})

export const scenario: Scenario = {
  name: "registry",
  about: "the registry is gone for 10 minutes and comes back empty, 200 calls/s, retries off",
  seconds: { full: 600, short: 45 },
  run
}
