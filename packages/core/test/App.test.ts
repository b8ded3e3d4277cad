import * as App from "@effect-kratos/core/App"
import * as Endpoint from "@effect-kratos/core/Endpoint"
import { AppInfo, Lifecycle } from "@effect-kratos/core/Lifecycle"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Memory from "@effect-kratos/core/registry/Memory"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const options = { id: "1", name: "greeter", version: "1.0.0", signals: [] } as const

/** What happened, in order. */
class Log extends Context.Service<Log, Array<string>>()("test/Log") {}
const say = (text: string) => Effect.map(Log, (log) => void log.push(text))

/** A server as the transports make them: announces while it is up, drains for a while when it closes. */
const server = (name: string, port: number) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const lifecycle = yield* Lifecycle
      yield* Effect.acquireRelease(say(`${name} up`), () =>
        Effect.gen(function* () {
          yield* say(`${name} drains, ${yield* lifecycle.phase}`)
          yield* Effect.sleep("100 millis")
          yield* say(`${name} down`)
        })
      )
      yield* lifecycle.announce(Endpoint.make("grpc", "127.0.0.1", port))
    })
  ).pipe(Layer.provide(Lifecycle.layer))

const registrar = Layer.effect(
  Registrar,
  Effect.gen(function* () {
    const log = yield* Log
    const lifecycle = yield* Lifecycle
    const note = (what: string) => Effect.map(lifecycle.phase, (phase) => void log.push(`${what}, ${phase}`))
    return { register: (instance) => Effect.acquireRelease(note(`registered ${instance.endpoints.join()}`), () => note("deregistered")) }
  })
).pipe(Layer.provide(Lifecycle.layer))

const hooks = {
  beforeStart: say("beforeStart"),
  afterStart: [say("afterStart 1"), say("afterStart 2")],
  beforeStop: [say("beforeStop 1"), say("beforeStop 2")],
  afterStop: say("afterStop")
}

/** Starts a program in a fiber of its own and waits until it is up or has failed. */
const launch = Effect.fnUntraced(function* <A, E>(main: Layer.Layer<A, E, Log>) {
  const log: Array<string> = []
  const fiber = yield* Effect.forkChild(Layer.launch(Layer.fresh(main)).pipe(Effect.provideService(Log, log)), { startImmediately: true })
  return { fiber, log }
})

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** Lets all that waits on the clock happen. */
const settle = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.andThen(TestClock.adjust("1 hour"), Fiber.await(fiber))

describe("App", () => {
  it.effect("starts and stops in order", () =>
    Effect.gen(function* () {
      const main = App.layer({ ...options, hooks }).pipe(Layer.provideMerge(server("server", 9000)), Layer.provide(registrar))
      const { fiber, log } = yield* launch(main)
      const up = ["server up", "beforeStart", "registered grpc://127.0.0.1:9000, serving", "afterStart 1", "afterStart 2"]
      assert.deepStrictEqual(log, up)

      yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      const down = ["beforeStop 1", "beforeStop 2", "deregistered, stopping"]
      assert.deepStrictEqual(log.slice(up.length), down)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(log.slice(up.length), down)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(log.slice(up.length + down.length), ["server drains, stopping"])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(log.slice(up.length + down.length + 1), ["server down", "afterStop"])
      assert.isTrue(Cause.hasInterruptsOnly(yield* Effect.flip(Effect.sandbox(Fiber.join(fiber)))))
    }).pipe(quiet)
  )

  it.effect("closes several servers before the afterStop hooks, each after the App", () =>
    Effect.gen(function* () {
      const servers = Layer.mergeAll(server("a", 1), server("b", 2))
      const { fiber, log } = yield* launch(
        App.layer({ ...options, hooks: { afterStop: say("afterStop") } }).pipe(Layer.provideMerge(servers))
      )
      yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* settle(fiber)
      assert.deepStrictEqual(log.slice(0, 2).toSorted(), ["a up", "b up"])
      assert.deepStrictEqual(log.slice(2, 6).toSorted(), ["a down", "a drains, stopping", "b down", "b drains, stopping"])
      assert.strictEqual(log[6], "afterStop")
    }).pipe(quiet)
  )

  it.effect("knows itself: from the options, from the servers, in hooks and in Lifecycle", () =>
    Effect.gen(function* () {
      const seen: Array<AppInfo> = []
      const see = Effect.map(AppInfo, (info) => void seen.push(info))
      const main = App.layer({
        ...options,
        metadata: { zone: "a" },
        hooks: { beforeStart: see, afterStart: see, beforeStop: see, afterStop: see }
      }).pipe(Layer.provideMerge(Layer.mergeAll(server("a", 1), server("b", 2))))
      const info = {
        id: "1",
        name: "greeter",
        version: "1.0.0",
        metadata: { zone: "a" },
        endpoints: ["grpc://127.0.0.1:1", "grpc://127.0.0.1:2"]
      }
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(main, scope).pipe(Effect.provideService(Log, []))
      assert.deepStrictEqual(Context.get(context, App.App).info, info)
      assert.deepStrictEqual(Context.get(context, Lifecycle).infoUnsafe(), info)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settle(closing)
      assert.deepStrictEqual(seen, [info, info, info, info])
    }).pipe(quiet)
  )

  it.effect("takes endpoints from its options over those of the servers, and makes up an id", () =>
    Effect.gen(function* () {
      const main = App.layer({ name: "greeter", signals: [], endpoints: ["grpc://public:1", Endpoint.make("http", "public", 2)] })
      const announcing = Layer.effectDiscard(
        Effect.flatMap(Lifecycle, (lifecycle) => lifecycle.announce(Endpoint.make("grpc", "127.0.0.1", 1)))
      ).pipe(Layer.provide(Lifecycle.layer))
      const first = Context.get(yield* Layer.build(Layer.fresh(Layer.provideMerge(main, announcing))), App.App).info
      const second = Context.get(yield* Layer.build(Layer.fresh(main)), App.App).info
      assert.deepStrictEqual(first.endpoints, ["grpc://public:1", "http://public:2"])
      assert.match(first.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.notStrictEqual(first.id, second.id)
      assert.strictEqual(first.version, "")
    }).pipe(quiet)
  )

  it.effect("is ready when it serves and not before it deregisters", () =>
    Effect.gen(function* () {
      const ready: Array<string> = []
      const see = (when: string) =>
        Effect.flatMap(Lifecycle, (lifecycle) =>
          Effect.map(lifecycle.ready, (is) => void ready.push(`${when} ${is}, ${lifecycle.phaseUnsafe()}`))
        )
      const seeing = Layer.effect(
        Registrar,
        Effect.map(Effect.context<Lifecycle>(), (context) => ({
          register: () => Effect.acquireRelease(see("register"), () => see("deregister")).pipe(Effect.provideContext(context))
        }))
      )
      const main = App.layer({
        ...options,
        hooks: {
          beforeStart: see("beforeStart"),
          afterStart: see("afterStart"),
          beforeStop: see("beforeStop"),
          afterStop: see("afterStop")
        }
      }).pipe(Layer.provide(seeing), Layer.provide(Lifecycle.layer))
      const { fiber } = yield* launch(main)
      yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* settle(fiber)
      assert.deepStrictEqual(ready, [
        "beforeStart false, starting",
        "register true, serving",
        "afterStart true, serving",
        "beforeStop true, serving",
        "deregister false, stopping",
        "afterStop false, stopped"
      ])
    }).pipe(quiet)
  )

  it.effect("emits its phases", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const app = Context.get(yield* Layer.buildWithScope(App.layer(options), scope), App.App)
      const phases = yield* Effect.forkChild(Stream.runCollect(app.phases), { startImmediately: true })
      assert.strictEqual(yield* app.phase, "serving")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(phases), ["serving", "stopping", "stopped"])
    }).pipe(quiet)
  )

  describe("a failed start", () => {
    class Broken extends RegistryError {}
    const broken = new Broken({ method: "register", cause: "broken" })

    it.effect("in beforeStart closes the servers; nothing was registered, no stop hook runs", () =>
      Effect.gen(function* () {
        const main = App.layer({
          ...options,
          hooks: { ...hooks, beforeStart: [say("beforeStart"), Effect.fail("no" as const), say("never")] }
        }).pipe(Layer.provideMerge(server("server", 9000)), Layer.provide(registrar))
        const { fiber, log } = yield* launch(main)
        yield* settle(fiber)
        assert.deepStrictEqual(log, ["server up", "beforeStart", "server drains, starting", "server down"])
        // the type says what a start can fail with
        const failure: "no" | RegistryError = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(failure, "no")
      }).pipe(quiet)
    )

    it.effect("in the registrar closes the servers, at once", () =>
      Effect.gen(function* () {
        const failing = Layer.succeed(Registrar, { register: () => Effect.fail(broken) })
        const main = App.layer({ ...options, hooks, deregisterWait: "5 seconds", registration: "required" }).pipe(
          Layer.provideMerge(server("server", 9000)),
          Layer.provide(failing)
        )
        const { fiber, log } = yield* launch(main)
        assert.strictEqual(log.at(-1), "server drains, stopping")
        yield* settle(fiber)
        assert.deepStrictEqual(log.slice(0, 2), ["server up", "beforeStart"])
        assert.notInclude(log, "afterStart 1")
        assert.deepStrictEqual(log.slice(-2), ["server down", "afterStop"])
        assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), broken)
      }).pipe(quiet)
    )

    it.effect("in afterStart deregisters first and waits, then closes the servers", () =>
      Effect.gen(function* () {
        const main = App.layer({ ...options, hooks: { afterStart: Effect.die("no") } }).pipe(
          Layer.provideMerge(server("server", 9000)),
          Layer.provide(registrar)
        )
        const { fiber, log } = yield* launch(main)
        assert.deepStrictEqual(log, ["server up", "registered grpc://127.0.0.1:9000, serving", "deregistered, stopping"])
        yield* settle(fiber)
        assert.deepStrictEqual(log.slice(3), ["server drains, stopping", "server down"])
      }).pipe(quiet)
    )

    it.effect("when the registrar hangs, even where it cannot be interrupted", () =>
      Effect.gen(function* () {
        let interrupted = 0
        const interruptible = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        for (const hangs of [interruptible, Effect.uninterruptible(Effect.never)]) {
          const hanging = Layer.succeed(Registrar, { register: () => hangs })
          const main = App.layer({ ...options, registrarTimeout: "3 seconds", registration: "required" }).pipe(
            Layer.provideMerge(server("server", 9000)),
            Layer.provide(hanging)
          )
          const { fiber, log } = yield* launch(main)
          yield* TestClock.adjust("2999 millis")
          assert.deepStrictEqual(log, ["server up"])
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(log.slice(1), ["server drains, stopping"])
          yield* settle(fiber)
          const error = yield* Effect.flip(Fiber.join(fiber))
          assert.strictEqual(error.method, "register")
          assert.instanceOf(error.cause, Cause.TimeoutError)
        }
        assert.strictEqual(interrupted, 1)
      }).pipe(quiet)
    )

    it.effect("that is interrupted interrupts the registrar before anything closes", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const hanging = Layer.succeed(Registrar, {
          register: () => Effect.onInterrupt(Effect.never, () => Effect.provideService(say("interrupted"), Log, log))
        })
        const main = App.layer(options).pipe(Layer.provideMerge(server("server", 9000)), Layer.provide(hanging))
        const fiber = yield* Effect.forkChild(Effect.provideService(Layer.launch(main), Log, log), { startImmediately: true })
        yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* settle(fiber)
        assert.deepStrictEqual(log, ["server up", "interrupted", "server drains, stopping", "server down"])
      }).pipe(quiet)
    )

    it.effect("and a registrar that is done too late takes the instance away again", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const late = Layer.succeed(Registrar, {
          register: () =>
            Effect.acquireRelease(
              Effect.andThen(
                Effect.sleep("1 minute"),
                Effect.sync(() => log.push("registered"))
              ),
              () => Effect.sync(() => log.push("deregistered"))
            )
        })
        const { fiber } = yield* launch(App.layer({ ...options, registration: "required" }).pipe(Layer.provide(late)))
        yield* settle(fiber)
        assert.deepStrictEqual(log, ["registered", "deregistered"])
      }).pipe(quiet)
    )
  })

  describe("a registry that is away at the start", () => {
    const away = () => {
      const self = {
        up: false,
        attempts: 0,
        listed: 0,
        layer: Layer.succeed(Registrar, {
          register: () =>
            Effect.acquireRelease(
              Effect.suspend(() => {
                self.attempts++
                if (!self.up) return Effect.fail(new RegistryError({ method: "register", cause: "refused" }))
                self.listed++
                return Effect.void
              }),
              () => Effect.sync(() => void self.listed--)
            )
        })
      }
      return self
    }
    /** Builds an app in a scope of its own. */
    const start = Effect.fnUntraced(function* (registrar: Layer.Layer<Registrar>, more: Omit<Partial<App.Options>, "hooks"> = {}) {
      const scope = yield* Scope.make()
      const main = App.layer({ ...options, deregisterWait: 0, ...more }).pipe(Layer.provide(registrar))
      const context = yield* Layer.buildWithScope(Layer.fresh(main), scope)
      const { details } = Context.get(context, Lifecycle)
      return { detail: Effect.map(details, (all) => all.map(({ name, text }) => `${name}: ${text}`).join()), scope, context }
    })

    it.effect("does not stop the start; it is tried for ever, with back-off, and the app says so", () =>
      Effect.gen(function* () {
        const registry = away()
        const { context, detail, scope } = yield* start(registry.layer)
        assert.isTrue(yield* Context.get(context, Lifecycle).ready)
        assert.strictEqual(yield* detail, "registry: registering, 1 attempt has failed")
        yield* TestClock.adjust("10 minutes")
        assert.isAbove(registry.attempts, 60)
        assert.isBelow(registry.attempts, 240)
        registry.up = true
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(registry.listed, 1)
        assert.strictEqual(yield* detail, "registry: registered")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(registry.listed, 0)
      }).pipe(Random.withSeed("away"), quiet)
    )

    it.effect("is not asked any more after the stop", () =>
      Effect.gen(function* () {
        const registry = away()
        const { scope } = yield* start(registry.layer)
        yield* Scope.close(scope, Exit.void)
        const { attempts } = registry
        registry.up = true
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual([registry.attempts, registry.listed], [attempts, 0])
      }).pipe(quiet)
    )

    it.effect("and does not answer holds the start up no longer than the timeout; its answer still counts", () =>
      Effect.gen(function* () {
        const answer = yield* Deferred.make<void>()
        const log: Array<string> = []
        const slow = Layer.succeed(Registrar, {
          register: () =>
            Effect.andThen(
              Deferred.await(answer),
              Effect.sync(() => void log.push("registered"))
            )
        })
        const starting = yield* Effect.forkChild(start(slow, { registrarTimeout: "3 seconds" }), { startImmediately: true })
        yield* TestClock.adjust(2999)
        assert.isUndefined(starting.pollUnsafe())
        yield* TestClock.adjust(1)
        const { detail, scope } = yield* Fiber.join(starting)
        assert.strictEqual(yield* detail, "registry: registering")
        yield* Deferred.succeed(answer, undefined)
        yield* TestClock.adjust(0)
        assert.deepStrictEqual([log, yield* detail], [["registered"], "registry: registered"])
        yield* Scope.close(scope, Exit.void)
      }).pipe(quiet)
    )

    it.effect("fails the start when it says that it never will", () =>
      Effect.gen(function* () {
        const never = new RegistryError({ method: "register", cause: "not a name", permanent: true })
        const error = yield* Effect.flip(start(Layer.succeed(Registrar, { register: () => Effect.fail(never) })))
        assert.strictEqual(error, never)
      }).pipe(quiet)
    )

    it.effect("what a registrar says of a registration that is lost is shown too", () =>
      Effect.gen(function* () {
        let tell: (state: Registration.State) => void = () => {}
        const telling = Layer.succeed(Registrar, {
          register: () => Effect.map(Registration.onState, (listener) => void (tell = listener))
        })
        const { detail, scope } = yield* start(telling)
        tell({ status: "lost", failures: 2 })
        assert.strictEqual(yield* detail, "registry: lost, 2 attempts have failed")
        yield* Scope.close(scope, Exit.void)
      }).pipe(quiet)
    )
  })

  describe("a stop", () => {
    it.effect("says each step, in the log and to whoever asks", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const steps = Logger.make(({ fiber }) => {
          const step = fiber.getRef(References.CurrentLogAnnotations)["step"]
          if (step !== undefined) seen.push(String(step))
        })
        const scope = yield* Scope.make()
        const main = App.layer({ ...options, deregisterWait: "3 seconds" }).pipe(
          Layer.provide(Memory.layer),
          Layer.provide(Logger.layer([steps]))
        )
        const context = yield* Layer.buildWithScope(Layer.fresh(main), scope)
        const { step } = Context.get(context, Lifecycle)
        assert.isUndefined(yield* step)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust(1)
        assert.deepStrictEqual([seen, yield* step], [["unready", "deregistering", "propagating"], "propagating"])
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(closing)
      })
    )

    it.effect("goes on after failed hooks, and dies with the first cause", () =>
      Effect.gen(function* () {
        const failing = {
          beforeStop: [say("beforeStop 1"), Effect.fail("first"), Effect.die("second"), say("beforeStop 2")],
          afterStop: [Effect.fail("third"), say("afterStop")]
        }
        const main = App.layer({ ...options, hooks: failing }).pipe(Layer.provideMerge(server("server", 9000)), Layer.provide(registrar))
        const { fiber, log } = yield* launch(main)
        yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        const exit = yield* settle(fiber)
        assert.deepStrictEqual(log.slice(2), [
          "beforeStop 1",
          "beforeStop 2",
          "deregistered, stopping",
          "server drains, stopping",
          "server down",
          "afterStop"
        ])
        const cause = Exit.isFailure(exit) ? exit.cause : Cause.empty
        assert.deepStrictEqual(
          cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect),
          ["first"]
        )
      }).pipe(quiet)
    )

    it.effect("goes on after a deregistration that dies or hangs", () =>
      Effect.gen(function* () {
        for (const release of [Effect.die("broken"), Effect.never, Effect.uninterruptible(Effect.never)]) {
          const stubborn = Layer.succeed(Registrar, { register: () => Effect.addFinalizer(() => release) })
          const main = App.layer({ ...options, registrarTimeout: "3 seconds" }).pipe(
            Layer.provideMerge(server("server", 9000)),
            Layer.provide(stubborn)
          )
          const { fiber, log } = yield* launch(main)
          yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
          yield* TestClock.adjust("4100 millis")
          assert.deepStrictEqual(log, ["server up", "server drains, stopping", "server down"])
          const exit = yield* settle(fiber)
          assert.isTrue(Exit.hasDies(exit))
        }
      }).pipe(quiet)
    )

    it.effect("waits as long as it is told, and not at all where nobody was told of the app", () =>
      Effect.gen(function* () {
        const cases = [
          { main: App.layer({ ...options, deregisterWait: "5 seconds" }).pipe(Layer.provide(registrar)), wait: 5000 },
          { main: App.layer({ ...options, deregisterWait: 0 }).pipe(Layer.provide(registrar)), wait: 0 },
          { main: App.layer({ ...options, deregisterWait: "5 seconds" }), wait: 5000 },
          { main: App.layer(options), wait: 0 }
        ]
        for (const { main, wait } of cases) {
          const { fiber } = yield* launch(main)
          yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
          if (wait > 0) {
            yield* TestClock.adjust(wait - 1)
            assert.isUndefined(fiber.pollUnsafe())
            yield* TestClock.adjust(1)
          }
          assert.isDefined(fiber.pollUnsafe())
        }
      }).pipe(quiet)
    )

    it.effect("can be asked for by the program itself, also by a call that the stop waits for", () =>
      Effect.gen(function* () {
        const asking = Layer.effectDiscard(
          Effect.gen(function* () {
            const app = yield* App.App
            yield* Effect.forkScoped(Effect.andThen(Effect.sleep("1 minute"), app.stop))
          })
        )
        const app = App.layer({ ...options, hooks })
        const main = asking.pipe(Layer.provideMerge(app), Layer.provideMerge(server("server", 9000)))
        const { fiber, log } = yield* launch(main)
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* settle(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
        assert.strictEqual(log.at(-1), "afterStop")
      }).pipe(quiet)
    )

    it.effect("asked for where the scope is in other hands withdraws the app, once", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const scope = yield* Scope.make()
        const main = App.layer({ ...options, hooks }).pipe(Layer.provideMerge(server("server", 9000)), Layer.provide(registrar))
        const building = yield* Effect.forkChild(Layer.buildWithScope(main, scope).pipe(Effect.provideService(Log, log)))
        const app = Context.get(yield* Fiber.join(building), App.App)
        log.length = 0
        yield* app.stop
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(log, ["beforeStop 1", "beforeStop 2", "deregistered, stopping"])
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* settle(closing)
        assert.deepStrictEqual(log.slice(3), ["server drains, stopping", "server down", "afterStop"])
      }).pipe(quiet)
    )
  })

  it.effect("never leaves an instance behind, whenever it is stopped", () =>
    Effect.gen(function* () {
      const registry = yield* Layer.build(Memory.layer)
      const discovery = Context.get(registry, Discovery)
      // every step takes a while, so a stop can fall before, into and after each of them
      const slow = Layer.succeed(Registrar, {
        register: (instance) =>
          Effect.gen(function* () {
            yield* Effect.sleep("10 millis")
            yield* Context.get(registry, Registrar).register(instance)
            yield* Effect.sleep("10 millis")
          })
      })
      const pause = Effect.sleep("10 millis")
      let seen = 0
      for (let at = 0; at <= 60; at += 5) {
        const main = App.layer({ ...options, hooks: { beforeStart: pause, afterStart: pause, beforeStop: pause, afterStop: pause } }).pipe(
          Layer.provideMerge(server("server", 9000)),
          Layer.provide(slow)
        )
        const { fiber, log } = yield* launch(main)
        yield* TestClock.adjust(at)
        seen += (yield* discovery.get("greeter")).length
        yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* settle(fiber)
        assert.deepStrictEqual(yield* discovery.get("greeter"), [], `stopped at ${at} ms`)
        assert.strictEqual(log.at(-1), "server down", `stopped at ${at} ms`)
      }
      assert.isAbove(seen, 0)
    }).pipe(quiet)
  )

  it.effect("lives beside other apps, each in a build of its own", () =>
    Effect.gen(function* () {
      const a = yield* launch(App.layer({ ...options, name: "a", hooks }).pipe(Layer.provideMerge(server("a", 1))))
      const b = yield* launch(App.layer({ ...options, name: "b", hooks }).pipe(Layer.provideMerge(server("b", 2))))
      yield* Effect.forkChild(Fiber.interrupt(a.fiber), { startImmediately: true })
      yield* settle(a.fiber)
      assert.strictEqual(a.log.at(-1), "afterStop")
      assert.strictEqual(b.log.at(-1), "afterStart 2")
      assert.isUndefined(b.fiber.pollUnsafe())
      yield* Effect.forkChild(Fiber.interrupt(b.fiber), { startImmediately: true })
      yield* settle(b.fiber)
      assert.strictEqual(b.log.at(-1), "afterStop")
    }).pipe(quiet)
  )
})
