/**
 * A whole experiment without a socket and without waiting: servers, clients, proxies and load on a network in memory and on the test's clock. What laws about
 * time say here is not blurred by the machine.
 */
import * as P2c from "@effect-kratos/core/selector/P2c"
import * as Channels from "@effect-kratos/transport/Channels"
import { Health } from "@effect-kratos/transport/Health"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Fault from "../src/Fault.ts"
import * as FaultProxy from "../src/FaultProxy.ts"
import * as Journal from "../src/Journal.ts"
import * as Laws from "../src/Laws.ts"
import * as Load from "../src/Load.ts"

const NODES = 5
const WAIT = 5

const turns = Effect.promise(async () => {
  for (let i = 0; i < 6; i++) await new Promise(setImmediate)
})

/** Moves the clock by milliseconds until the fiber has ended. */
const play = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    while (fiber.pollUnsafe() === undefined) {
      yield* turns
      yield* TestClock.adjust(1)
    }
  })

const fleet = Effect.gen(function* () {
  const handlers = Health.layer({
    check: () => Effect.as(Effect.sleep(WAIT), {}),
    list: () => Effect.succeed({}),
    watch: () => Stream.empty
  })
  return yield* Effect.forEach(Array.from({ length: NODES }), (_, i) =>
    Effect.gen(function* () {
      const aspects = Journal.server(`node-${i}`, () => undefined)
      const server = Server.layer({ services: [Health], health: false, host: `node-${i}`, port: 1, aspects }).pipe(Layer.provide(handlers))
      const { address } = Context.get(yield* Layer.build(Layer.fresh(server)), Server.Server)
      return yield* FaultProxy.make({ upstream: address, host: `proxy-${i}`, port: 1 })
    })
  )
})

it.effect(
  "P2C keeps calls away from a node that is ten times slower, and callers hardly notice",
  () =>
    Effect.gen(function* () {
      const proxies = yield* fleet
      const target = `direct:///${proxies.map((_, i) => `proxy-${i}:1`).join(",")}`
      const channels = Channels.layerDirect.pipe(Layer.provide(Channels.options({ selector: { balancer: P2c.make } })))
      const health = Context.get(
        yield* Layer.build(Health.client(target, { aspects: Journal.client }).pipe(Layer.provide(channels))),
        Health
      )
      const journal = Journal.make()
      const phase = Effect.fnUntraced(function* (seconds: number) {
        const from = journal.entries.length
        const load = yield* Effect.forkScoped(
          Load.steady({ rate: 100, duration: `${seconds} seconds` }, () => journal.record()(health.check({})))
        )
        yield* play(load)
        return journal.entries.slice(from)
      })
      yield* phase(1)
      const healthy = yield* phase(4)
      const sick = yield* proxies[0]!.during(Fault.latency({ delay: (WAIT * 9) / 2 }))(Effect.andThen(phase(3), phase(10)))
      const p99 = (calls: ReadonlyArray<Journal.ClientEntry>) => Laws.percentile(Laws.durations(calls), 0.99)
      const share = sick.filter(({ node }) => node === "node-0").length / sick.length
      assert.isTrue(Laws.noneFailed(journal.entries).holds)
      assert.isAbove(share, 0)
      assert.isAtMost(share, 0.05)
      assert.isAtMost(p99(sick), 1.5 * p99(healthy))
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Warn"), Random.withSeed("slow"), (effect) =>
      Effect.suspend(() => Effect.provideService(effect, Network.Network, Network.makeMemory()))
    ),
  60_000
)
