import * as Endpoint from "@effect-kratos/core/Endpoint"
import { AppInfo, Lifecycle, type Phase } from "@effect-kratos/core/Lifecycle"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const endpoint = Endpoint.make("grpc", "127.0.0.1", 9000)
const info = { id: "1", name: "greeter", version: "1.0.0", metadata: {}, endpoints: [] }

describe("Lifecycle", () => {
  it.effect("goes through its phases in order and never back", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const seen: Array<Phase> = []
      const move = (phase: Phase) =>
        Effect.andThen(
          lifecycle.advance(phase),
          Effect.sync(() => seen.push(lifecycle.phaseUnsafe()))
        )
      assert.strictEqual(yield* lifecycle.phase, "starting")
      for (const phase of ["serving", "starting", "stopping", "serving", "stopped", "stopping"] as const) yield* move(phase)
      assert.deepStrictEqual(seen, ["serving", "serving", "stopping", "stopping", "stopped", "stopped"])
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("emits the current phase and every later one, and ends after stopped", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const lifecycle = yield* Layer.buildWithScope(Lifecycle.layer, scope).pipe(
        Effect.flatMap((context) => Effect.provide(Lifecycle, context))
      )
      const fiber = yield* Effect.forkChild(Stream.runCollect(lifecycle.phases), { startImmediately: true })
      yield* lifecycle.advance("serving")
      yield* lifecycle.advance("stopping")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["starting", "serving", "stopping", "stopped"])
      assert.deepStrictEqual(yield* Stream.runCollect(lifecycle.phases), ["stopped"])
    })
  )

  it.effect("is ready only while serving with all checks true", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      let database = false
      assert.isFalse(yield* lifecycle.ready)
      yield* lifecycle.advance("serving")
      assert.isTrue(yield* lifecycle.ready)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* lifecycle.addCheck(
            "database",
            Effect.sync(() => database)
          )
          assert.isFalse(yield* lifecycle.ready)
          assert.deepStrictEqual(yield* lifecycle.checks, [{ name: "database", ready: false }])
          database = true
          assert.isTrue(yield* lifecycle.ready)
          database = false
        })
      )
      assert.isTrue(yield* lifecycle.ready)
      yield* lifecycle.advance("stopping")
      assert.isFalse(yield* lifecycle.ready)
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("takes a check that dies or hangs as not ready", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      yield* lifecycle.advance("serving")
      yield* Effect.scoped(Effect.andThen(lifecycle.addCheck("dies", Effect.die("broken")), Effect.map(lifecycle.ready, assert.isFalse)))
      assert.isTrue(yield* lifecycle.ready)
      yield* lifecycle.addCheck("hangs", Effect.never)
      const fiber = yield* Effect.forkChild(lifecycle.ready)
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(yield* Fiber.join(fiber))
    }).pipe(Effect.scoped, Effect.provide(Lifecycle.layer))
  )

  it.effect("lists endpoints for as long as they are announced", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const other = Endpoint.make("http", "127.0.0.1", 8000)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* lifecycle.announce(endpoint)
          yield* lifecycle.announce(other)
          assert.deepStrictEqual(yield* lifecycle.endpoints, [endpoint, other])
        })
      )
      assert.deepStrictEqual(yield* lifecycle.endpoints, [])
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("tells listeners the identity now and when it changes", () =>
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      const seen: Array<string> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* lifecycle.onInfo((info) => seen.push(info.name))
          yield* lifecycle.identify(info)
        })
      )
      yield* lifecycle.identify({ ...info, name: "later" })
      assert.deepStrictEqual(seen, ["unknown", "greeter"])
      assert.strictEqual(lifecycle.infoUnsafe().name, "later")
      assert.strictEqual((yield* AppInfo).name, "unknown")
    }).pipe(Effect.provide(Lifecycle.layer))
  )

  it.effect("is one instance for all layers of a build and closes after the last of them", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const member = (name: string) =>
        Layer.effectDiscard(
          Effect.gen(function* () {
            const lifecycle = yield* Lifecycle
            yield* lifecycle.announce(endpoint)
            yield* Effect.addFinalizer(() => Effect.sync(() => log.push(`${name} closed, ${lifecycle.phaseUnsafe()}`)))
            yield* Effect.sync(() => log.push(name))
          })
        ).pipe(Layer.provide(Lifecycle.layer))
      const app = Layer.effectDiscard(
        Effect.gen(function* () {
          const lifecycle = yield* Lifecycle
          log.push(`app sees ${(yield* lifecycle.endpoints).length}`)
          yield* Effect.addFinalizer(() => lifecycle.advance("stopping"))
        })
      ).pipe(Layer.provide(Lifecycle.layer))
      yield* Effect.scoped(Layer.build(app.pipe(Layer.provideMerge(Layer.mergeAll(member("a"), member("b"))))))
      assert.deepStrictEqual(log.slice(0, 3), ["a", "b", "app sees 2"])
      assert.deepStrictEqual(log.slice(3).toSorted(), ["a closed, stopping", "b closed, stopping"])
    })
  )
})
