/**
 * Very many calls, one in ten given up, with the server ending a connection by GOAWAY once for every hundred: afterwards nothing is left of them. Server and
 * clients are in this process, on real sockets, so that everything that one of them forgets is seen here. The length is in calls: 1,000,000 in full.
 */
import * as FiberCensus from "@effect-kratos/testing/FiberCensus"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Work } from "../../src/gen/chaos/v1/work_effect.ts"
import * as Fleet from "../Fleet.ts"
import type { Scenario } from "../Scenario.ts"
import * as WorkLive from "../WorkLive.ts"

/** Calls for each second that is asked for. */
const PER_SECOND = 5000
const CLIENTS = 16
const AT_ONCE = 64
/** Each with a server and clients of its own. */
const PARTS = 10
/** Milliseconds: such a call does not end by itself. */
const LONG = 600_000

const resources = (): { readonly sockets: number; readonly timers: number } => {
  const active = process.getActiveResourcesInfo()
  return { sockets: active.filter((name) => name.startsWith("TCP")).length, timers: active.filter((name) => name === "Timeout").length }
}

/** Bytes in use when everything that can be collected is. */
const heap = Effect.gen(function* () {
  if (globalThis.gc === undefined) return yield* Effect.die(new Error("the scenario needs node --expose-gc"))
  for (let i = 0; i < 5; i++) {
    globalThis.gc()
    yield* Effect.sleep("20 millis")
  }
  return process.memoryUsage().heapUsed
})

interface Counts {
  done: number
  cancelled: number
  failures: Array<string>
  dials: number
}

const load = Effect.fnUntraced(function* (census: FiberCensus.FiberCensus, age: number, calls: number, counts: Counts) {
  const network = yield* Network.Network
  const counting: Network.NetworkShape = {
    ...network,
    connect: (to) => Effect.tap(network.connect(to), () => Effect.sync(() => counts.dials++))
  }
  const server = yield* Layer.build(
    Layer.fresh(
      Server.layer({ services: [Work], host: "127.0.0.1", port: 0, maxConnectionAge: age }).pipe(
        Layer.provide(WorkLive.layer({ node: "leak", sink: () => undefined, census, broken: false, wait: 0, burn: 0 }))
      )
    )
  )
  const { address } = Context.get(server, Server.Server)
  const clients = yield* Effect.forEach(Array.from({ length: CLIENTS }), () => Fleet.client(`127.0.0.1:${address.port}`, {})).pipe(
    Effect.provideService(Network.Network, counting)
  )

  // that which ends, and that which does not
  const kinds: ReadonlyArray<readonly [Effect.Effect<unknown, unknown>, Effect.Effect<unknown, unknown>]> = clients.flatMap((work) => {
    const talk = work.talk(Stream.concat(Stream.succeed({ waitMs: 1 }), Stream.never))
    return [
      [work.do({}), work.do({ waitMs: LONG })],
      [work.once({}), work.once({ waitMs: LONG })],
      [Stream.runDrain(Stream.take(work.follow({ waitMs: 1 }), 2)), Stream.runDrain(work.follow({ waitMs: LONG }))],
      [Stream.runDrain(Stream.take(talk, 1)), Stream.runDrain(talk)]
    ] as const
  })
  const note = (exit: Exit.Exit<unknown, unknown>) =>
    Effect.sync(() => {
      if (Exit.isSuccess(exit)) counts.done++
      else if (counts.failures.length < 100) counts.failures.push(String(exit.cause))
    })
  const one = (i: number) =>
    Effect.gen(function* () {
      const [whole, endless] = kinds[i % kinds.length]!
      if (i % 10 !== Math.trunc(i / 10) % 10) return yield* Effect.flatMap(Effect.exit(whole), note)
      const fiber = yield* Effect.forkChild(endless, { startImmediately: true })
      yield* Effect.sleep(yield* Random.nextIntBetween(0, 4))
      yield* Fiber.interrupt(fiber)
      counts.cancelled++
    })
  let next = 0
  const worker = Effect.whileLoop({ while: () => next < calls, body: () => one(next++), step: () => undefined })
  yield* Effect.all(
    Array.from({ length: AT_ONCE }, () => worker),
    { concurrency: "unbounded", discard: true }
  )
}, Effect.scoped)

const fresh = (): Counts => ({ done: 0, cancelled: 0, failures: [], dials: 0 })

const run = Effect.fnUntraced(function* (seconds: number) {
  const calls = Math.max(10_000, Math.round(seconds * PER_SECOND))
  const census = FiberCensus.make()
  const inside = Effect.provide(
    Effect.gen(function* () {
      // how fast this machine is decides at what age a connection has had its hundred calls; half of it, since machines slow down
      const warm = fresh()
      const start = yield* Clock.currentTimeMillis
      yield* load(census, 500, Math.max(5000, calls / 20), warm)
      const rate = ((warm.done + warm.cancelled) * 1000) / ((yield* Clock.currentTimeMillis) - start)
      let age = Math.max(10, Math.floor((CLIENTS * 100 * 1000 * 0.45) / rate))

      const settled = Effect.repeat(Effect.sync(resources), {
        until: ({ sockets }) => sockets === 0,
        schedule: Schedule.spaced("20 millis")
      })
      yield* Effect.timeoutOrElse(settled, { duration: "5 seconds", orElse: () => Effect.sync(resources) })
      const before = { heap: yield* heap, fibers: census.running(), ...resources() }
      const counts = fresh()
      let parts = 0
      const goneAway = () => counts.dials - CLIENTS * parts
      // machines do not stay as fast as they were: the age follows, and what is missing is made up for
      while (counts.done + counts.cancelled + counts.failures.length < calls || (goneAway() < calls / 100 && parts < 3 * PARTS)) {
        const had = goneAway()
        yield* load(census, age, calls / PARTS, counts)
        parts++
        const share = (goneAway() - had) / (calls / PARTS / 100)
        if (share < 1.2) age = Math.max(10, Math.floor(age * Math.max(0.3, Math.min(0.9, share / 1.3))))
      }
      yield* Effect.timeoutOrElse(settled, { duration: "5 seconds", orElse: () => Effect.sync(resources) })
      const after = { heap: yield* heap, fibers: census.running(), ...resources() }
      return { after, before, counts, rate, age, goaways: goneAway() }
    }),
    census.layer
  )
  const { after, age, before, counts, goaways, rate } = yield* inside
  return Verdict.make(
    scenario.name,
    [
      Verdict.atLeast("calls", counts.done + counts.cancelled, calls),
      Verdict.none("failed calls", counts.failures),
      Verdict.atLeast("calls given up", counts.cancelled, calls / 10),
      Verdict.atLeast("connections ended by GOAWAY", goaways, calls / 100),
      Verdict.atMost("heap growth", (after.heap - before.heap) / 1_000_000, 5, " MB"),
      Verdict.atMost("sockets left", after.sockets - before.sockets, 0),
      Verdict.atMost("timers left", after.timers - before.timers, 0),
      Verdict.atMost("fibers left", after.fibers - before.fibers, 0)
    ],
    { "calls/s": rate, "age of connections ms": age, "heap MB": after.heap / 1_000_000 }
  )
})

export const scenario: Scenario = {
  name: "leak",
  about: `1,000,000 calls, 10 % given up, 1 % GOAWAY; ${PER_SECOND} calls for each second that is asked for`,
  seconds: { full: 200, short: 30 },
  run
}
