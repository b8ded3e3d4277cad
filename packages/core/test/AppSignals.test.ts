import * as App from "@effect-kratos/core/App"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Process } from "../src/internal/process.ts"
import * as FakeProcess from "./fixtures/process.ts"

const options = { id: "1", name: "greeter" } as const
const listening = { SIGINT: 1, SIGQUIT: 1, SIGTERM: 1 }

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

/** Something under the App that takes its time to close; `closed` is in the list when it has. */
const slow = (closed: Array<string>, duration: Duration.Input = "10 seconds") =>
  Layer.effectDiscard(
    Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.sleep(duration),
        Effect.sync(() => closed.push("closed"))
      )
    )
  )

/** A server that takes its time to close. */
const slowServer = Layer.effectDiscard(
  Effect.andThen(
    Lifecycle,
    Effect.addFinalizer(() => Effect.sleep("10 seconds"))
  )
).pipe(Layer.provide(Lifecycle.layer))

/** Lets forked fibers start. Also, a test clock that was never adjusted cuts short its first sleep in an interrupted fiber. */
const started = Effect.andThen(Effect.yieldNow, TestClock.adjust(0))

/** As a runner of main programs does: interrupts on SIGTERM and SIGINT, exits with 130 after an interrupt, with 1 after a failure. */
const runMain = Effect.fnUntraced(function* <A, E>(main: Effect.Effect<A, E>, process: FakeProcess.FakeProcess) {
  const fiber = yield* Effect.forkDetach(Effect.provideService(main, Process, process), { startImmediately: false })
  fiber.addObserver((exit) => process.exit(Exit.hasInterrupts(exit) && !Exit.hasDies(exit) ? 130 : 1))
  for (const signal of ["SIGTERM", "SIGINT"]) process.addListener(signal, () => fiber.interruptUnsafe(fiber.id))
  yield* started
  return fiber
})

describe("App and its process", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
    it.effect(`stops on ${signal} and exits with 0 once all is closed`, () =>
      Effect.gen(function* () {
        const process = FakeProcess.make()
        const closed: Array<string> = []
        const fiber = yield* runMain(Layer.launch(App.layer(options).pipe(Layer.provideMerge(slow(closed)))), process)
        assert.isUndefined(fiber.pollUnsafe())
        process.emit(signal)
        assert.deepStrictEqual([closed, process.exits], [[], []])
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual([closed, process.exits], [["closed"], [0]])
      }).pipe(quiet)
    )

    it.effect(`stops on ${signal} and exits with 0 when there is nothing to wait for`, () =>
      Effect.gen(function* () {
        const process = FakeProcess.make()
        yield* runMain(Layer.launch(App.layer(options)), process)
        process.emit(signal)
        assert.deepStrictEqual(process.exits, [0])
      }).pipe(quiet)
    )

    it.effect(`stops on ${signal} where the App was built aside the main fiber`, () =>
      Effect.gen(function* () {
        const process = FakeProcess.make()
        const closed: Array<string> = []
        const fiber = yield* runMain(Layer.launch(Layer.mergeAll(App.layer(options), slow(closed))), process)
        process.emit(signal)
        yield* TestClock.adjust("10 seconds")
        assert.isDefined(fiber.pollUnsafe())
        assert.deepStrictEqual([closed, process.exits], [["closed"], [0]])
      }).pipe(quiet)
    )
  }

  it.effect("exits with 1 when a hook failed, or a finalizer died", () =>
    Effect.gen(function* () {
      const mains = [
        App.layer({ ...options, hooks: { beforeStop: Effect.fail("no") } }),
        App.layer(options).pipe(Layer.provideMerge(Layer.effectDiscard(Effect.addFinalizer(() => Effect.die("no")))))
      ]
      for (const main of mains) {
        const process = FakeProcess.make()
        yield* runMain(Layer.launch(main), process)
        process.emit("SIGTERM")
        assert.deepStrictEqual(process.exits, [1])
      }
    }).pipe(quiet)
  )

  it.effect("limits the way back of a failed start", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const main = App.layer({ ...options, hooks: { beforeStart: Effect.fail("no") } }).pipe(Layer.provideMerge(slowServer))
      yield* runMain(Layer.launch(main), process)
      assert.strictEqual(process.timers(), 1)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([process.timers(), process.exits], [0, [1]])
    }).pipe(quiet)
  )

  it.effect("leaves the exit code of a failed start alone", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      yield* runMain(Layer.launch(App.layer({ ...options, hooks: { beforeStart: Effect.fail("no") } })), process)
      assert.deepStrictEqual(process.exits, [1])
      assert.notProperty(process.counts(), "exit")
      assert.strictEqual(process.timers(), 0)
    }).pipe(quiet)
  )

  it.effect("exits at once on a second signal, with the code of that signal", () =>
    Effect.gen(function* () {
      for (const [signal, code] of [
        ["SIGTERM", 143],
        ["SIGINT", 130],
        ["SIGQUIT", 131]
      ] as const) {
        const process = FakeProcess.make()
        const fiber = yield* runMain(Layer.launch(App.layer(options).pipe(Layer.provideMerge(slow([])))), process)
        process.emit("SIGTERM")
        yield* TestClock.adjust("201 millis")
        assert.deepStrictEqual(process.exits, [])
        process.emit(signal)
        assert.deepStrictEqual(process.exits, [code])
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.await(fiber)
      }
    }).pipe(quiet)
  )

  it.effect("takes the same signal twice in a moment for one", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const fiber = yield* runMain(Layer.launch(App.layer(options).pipe(Layer.provideMerge(slow([])))), process)
      process.emit("SIGINT")
      yield* TestClock.adjust("100 millis")
      process.emit("SIGINT")
      assert.deepStrictEqual(process.exits, [])
      process.emit("SIGTERM")
      assert.deepStrictEqual(process.exits, [143])
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(fiber)
    }).pipe(quiet)
  )

  it.effect("exits with 1 when the stop takes longer than it may, also in what lies under the App", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const fiber = yield* runMain(
        Layer.launch(App.layer({ ...options, stopTimeout: "5 seconds" }).pipe(Layer.provideMerge(slow([])))),
        process
      )
      assert.strictEqual(process.timers(), 0)
      process.emit("SIGTERM")
      assert.strictEqual(process.timers(), 1)
      process.expire()
      assert.deepStrictEqual(process.exits, [1])
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(fiber)
    }).pipe(quiet)
  )

  it.effect("limits a stop that nobody asked for as well", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const scope = yield* Scope.make()
      const hook = Effect.sleep("10 seconds")
      yield* Layer.buildWithScope(App.layer({ ...options, hooks: { beforeStop: hook } }), scope).pipe(
        Effect.provideService(Process, process)
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.strictEqual(process.timers(), 1)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      assert.deepStrictEqual([process.timers(), process.exits], [0, []])
    }).pipe(quiet)
  )

  it.effect("leaves a signal to those who listen to it too, and tells the runner of one that it does not know", () =>
    Effect.gen(function* () {
      for (const [signal, heard] of [
        ["SIGTERM", ["SIGTERM"]],
        ["SIGINT", ["SIGINT"]],
        ["SIGQUIT", ["SIGTERM"]]
      ] as const) {
        const process = FakeProcess.make()
        const calls: Array<string> = []
        for (const one of ["SIGTERM", "SIGINT"]) process.addListener(one, () => calls.push(one))
        const fiber = yield* Effect.forkChild(Layer.launch(App.layer(options)).pipe(Effect.provideService(Process, process)), {
          startImmediately: true
        })
        process.emit(signal)
        yield* Fiber.await(fiber)
        assert.deepStrictEqual(calls, [...heard])
      }
    }).pipe(quiet)
  )

  it.effect("limits no stop whose timeout is infinite", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const fiber = yield* runMain(
        Layer.launch(App.layer({ ...options, stopTimeout: Duration.infinity }).pipe(Layer.provideMerge(slow([])))),
        process
      )
      process.emit("SIGTERM")
      assert.strictEqual(process.timers(), 0)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(fiber)
      assert.deepStrictEqual(process.exits, [0])
    }).pipe(quiet)
  )

  it.effect("stops and exits with 0 when the program asks for it", () =>
    Effect.gen(function* () {
      const asking = Layer.effectDiscard(
        Effect.flatMap(App.App, (app) => Effect.forkScoped(Effect.andThen(Effect.sleep("1 second"), app.stop)))
      ).pipe(Layer.provideMerge(App.layer(options)))
      // the second is built aside, so that the runner has to be told
      for (const main of [asking, Layer.mergeAll(asking, Layer.empty)]) {
        const process = FakeProcess.make()
        yield* runMain(Layer.launch(Layer.fresh(main)), process)
        assert.deepStrictEqual(process.exits, [])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(process.exits, [0])
      }
    }).pipe(quiet)
  )

  it.effect("listens from the build to the end of its scope, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const build = (name: string, scope: Scope.Scope) =>
        Layer.buildWithScope(Layer.fresh(App.layer({ ...options, name })), scope).pipe(Effect.provideService(Process, process))
      const one = yield* Scope.make()
      const two = yield* Scope.make()
      yield* build("one", one)
      assert.deepStrictEqual(process.counts(), listening)
      yield* build("two", two)
      yield* Scope.close(one, Exit.void)
      assert.deepStrictEqual(process.counts(), listening)
      yield* Scope.close(two, Exit.void)
      assert.deepStrictEqual([process.counts(), process.timers(), process.exits], [{}, 0, []])
    }).pipe(quiet)
  )

  it.effect("leaves nothing behind after a stop either", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const main = Layer.launch(App.layer(options).pipe(Layer.provideMerge(slow([])))).pipe(Effect.provideService(Process, process))
      const fiber = yield* Effect.forkChild(main, { startImmediately: true })
      yield* started
      process.emit("SIGQUIT")
      assert.deepStrictEqual([process.counts(), process.timers()], [{ ...listening, exit: 1 }, 1])
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(fiber)
      assert.deepStrictEqual([process.counts(), process.timers(), process.exits], [{}, 0, []])
    }).pipe(quiet)
  )

  it.effect("stops two apps of one process on one signal", () =>
    Effect.gen(function* () {
      for (const signal of ["SIGTERM", "SIGQUIT"]) {
        const process = FakeProcess.make()
        const launch = (name: string) =>
          Effect.forkChild(
            Layer.launch(App.layer({ ...options, name }).pipe(Layer.provideMerge(slow([])), Layer.fresh)).pipe(
              Effect.provideService(Process, process)
            ),
            { startImmediately: true }
          )
        const one = yield* launch("one")
        const two = yield* launch("two")
        yield* started
        process.emit(signal)
        assert.isUndefined(one.pollUnsafe())
        assert.isUndefined(two.pollUnsafe())
        yield* TestClock.adjust("10 seconds")
        assert.isDefined(one.pollUnsafe())
        assert.isDefined(two.pollUnsafe())
        assert.deepStrictEqual([process.counts(), process.exits], [{}, []])
      }
    }).pipe(quiet)
  )

  it.effect("withdraws and exits where nobody would close the layers", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const scope = yield* Scope.make()
      const building = yield* Effect.forkChild(
        Layer.buildWithScope(App.layer({ ...options, deregisterWait: "1 second" }), scope).pipe(Effect.provideService(Process, process))
      )
      const lifecycle = Context.get(yield* Fiber.join(building), Lifecycle)
      process.emit("SIGTERM")
      assert.strictEqual(lifecycle.phaseUnsafe(), "stopping")
      assert.deepStrictEqual(process.exits, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(process.exits, [143])
      yield* Scope.close(scope, Exit.void)
    }).pipe(quiet)
  )

  it.effect("leaves the process alone without signals, and where there is no process", () =>
    Effect.gen(function* () {
      const process = FakeProcess.make()
      const run = (signals: ReadonlyArray<App.Signal> | undefined, around: FakeProcess.FakeProcess | undefined) =>
        Effect.gen(function* () {
          const context = yield* Layer.build(Layer.fresh(App.layer({ ...options, signals })))
          assert.strictEqual(yield* Context.get(context, App.App).phase, "serving")
          assert.deepStrictEqual(process.counts(), {})
        }).pipe(Effect.scoped, Effect.provideService(Process, around))
      yield* run([], process)
      yield* run(undefined, undefined)
    }).pipe(quiet)
  )
})
