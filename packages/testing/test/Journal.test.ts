/** The journal of both sides, around a server and a client in memory. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import { Health } from "@effect-kratos/transport/Health"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Journal from "../src/Journal.ts"

/** The service is one that is at hand: what it is about does not matter here. */
const setup = Effect.gen(function* () {
  const network = Network.makeMemory()
  const noted: Array<Journal.ServerEntry> = []
  const sink: Journal.Sink = (entry) => void noted.push(entry)
  const open = yield* Latch.make()
  let failures = 0
  const handlers = Health.layer({
    check: ({ service }) =>
      Journal.finalized(
        "a",
        sink
      )(
        Effect.gen(function* () {
          if (service === "wait") return yield* Effect.andThen(open.open, Effect.never)
          if (service === "fail" || (service === "flaky" && failures++ < 2))
            return yield* KratosError.serviceUnavailable("BUSY", "come again")
          return {}
        })
      ),
    list: () => Effect.succeed({}),
    watch: () => Stream.empty
  })
  const server = Server.layer({ services: [Health], health: false, host: "a", port: 1, aspects: Journal.server("a", sink) })
  const client = Health.client("a:1", { aspects: Journal.client }).pipe(Layer.provide(Channels.layerDirect))
  const layer = Layer.fresh(Layer.merge(server.pipe(Layer.provide(handlers)), client)).pipe(
    Layer.provide(Layer.succeed(Network.Network, network))
  )
  const health = Context.get(yield* Layer.build(layer), Health)
  const events = () => noted.map(({ event, id, node, outcome }) => [event, id, node, ...(outcome === undefined ? [] : [outcome])].join(" "))
  return { health, journal: Journal.make("t"), events, open }
})

describe("a journal", () => {
  it.effect("knows each call on both sides", () =>
    Effect.gen(function* () {
      const { events, health, journal } = yield* setup
      yield* journal.record()(health.check({}))
      yield* Effect.exit(journal.record({ idempotent: true, kind: "bad" })(health.check({ service: "fail" })))
      assert.deepInclude(journal.entries[0], {
        id: "t0",
        kind: "call",
        idempotent: false,
        attempts: 1,
        node: "a",
        outcome: "ok",
        message: ""
      })
      assert.deepInclude(journal.entries[1], {
        id: "t1",
        kind: "bad",
        idempotent: true,
        attempts: 1,
        outcome: "BUSY",
        message: "come again"
      })
      assert.deepStrictEqual(events(), [
        "started t0 a",
        "finalized t0 a",
        "ended t0 a ok",
        "started t1 a",
        "finalized t1 a",
        "ended t1 a failed"
      ])
    })
  )

  it.effect("counts attempts within one call", () =>
    Effect.gen(function* () {
      const { events, health, journal } = yield* setup
      yield* journal.record()(Effect.retry(health.check({ service: "flaky" }), { times: 5 }))
      assert.deepInclude(journal.entries[0], { attempts: 3, outcome: "ok" })
      assert.lengthOf(journal.entries, 1)
      assert.deepStrictEqual(
        events().filter((event) => event.startsWith("started")),
        ["started t0 a", "started t0 a", "started t0 a"]
      )
    })
  )

  it.effect("tells a call that was given up, and that its handler has cleaned up", () =>
    Effect.gen(function* () {
      const { events, health, journal, open } = yield* setup
      const fiber = yield* Effect.forkChild(journal.record()(health.check({ service: "wait" })))
      yield* open.await
      assert.strictEqual(journal.entries[0]?.end, undefined)
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(journal.entries[0], { outcome: "interrupted" })
      yield* Effect.promise(async () => {
        while (events().length < 3) await new Promise(setImmediate)
      })
      assert.deepStrictEqual(events(), ["started t0 a", "finalized t0 a", "ended t0 a interrupted"])
    })
  )

  it.effect("leaves calls alone that nobody records", () =>
    Effect.gen(function* () {
      const { events, health, journal } = yield* setup
      yield* health.check({})
      assert.deepStrictEqual([events(), journal.entries], [[], []])
    })
  )
})
