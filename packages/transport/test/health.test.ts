/** Health by gRPC and by HTTP, through the phases of an app. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import { Health } from "../src/Health.ts"
import * as Network from "../src/Network.ts"
import { serve, sockets, until } from "./Harness.ts"
import { versions } from "./RawHttp.ts"

describe("health", () => {
  it.effect("probes and service follow the phases of the app", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: sockets })
      const context = yield* Layer.build(
        Health.client("discovery:///x").pipe(
          Layer.provide(Channels.layerTo(server.address)),
          Layer.provide(Layer.succeed(Network.Network, server.network))
        )
      )
      const health = Context.get(context, Health)
      const { send } = versions[0]!
      const readyz = Effect.map(send(server)("GET", "/readyz"), ({ status }) => status)
      const check = Effect.map(health.check({}), ({ status }) => status)
      // a server without an app is ready
      assert.deepStrictEqual([yield* readyz, yield* check], [200, 1])

      yield* server.lifecycle.identify({ id: "1", name: "app", version: "", metadata: {}, endpoints: [] })
      assert.deepStrictEqual([yield* readyz, yield* check], [503, 2])
      const seen: Array<number> = []
      const watch = yield* Effect.forkChild(
        Stream.runForEach(health.watch({ service: "test.v1.Echo" }), ({ status }) => Effect.sync(() => seen.push(status)))
      )
      yield* until(Effect.sync(() => seen.length === 1))
      const unknown = yield* Effect.forkChild(
        Stream.runForEach(health.watch({ service: "nobody" }), ({ status }) => Effect.sync(() => seen.push(status)))
      )
      yield* until(Effect.sync(() => seen.length === 2))

      yield* server.lifecycle.advance("serving")
      assert.deepStrictEqual([yield* readyz, yield* check], [200, 1])
      assert.deepStrictEqual((yield* health.list({})).statuses["test.v1.Echo"]?.status, 1)
      yield* until(Effect.sync(() => seen.length === 3))

      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* server.lifecycle.addCheck("database", Effect.succeed(false))
          const reply = yield* send(server)("GET", "/readyz")
          assert.strictEqual(reply.status, 503)
          assert.include(reply.body, "database")
          assert.strictEqual(yield* check, 2)
          yield* TestClock.adjust("5 seconds")
          yield* until(Effect.sync(() => seen.length === 4))
        })
      )
      yield* server.lifecycle.advance("stopping")
      assert.strictEqual(yield* readyz, 503)
      assert.strictEqual((yield* send(server)("GET", "/livez")).status, 200)
      // watchers do not hold up the stop
      yield* Fiber.join(watch)
      yield* Fiber.join(unknown)
      assert.deepStrictEqual(seen, [2, 3, 1, 2])
      const failure = yield* Effect.flip(health.check({ service: "nobody" }))
      assert.strictEqual(failure.code, 404)
    })
  )
})
