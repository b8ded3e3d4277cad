import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { AppInfo, Lifecycle } from "../../src/Lifecycle.ts"
import * as Fields from "../../src/log/Fields.ts"
import * as Filter from "../../src/log/Filter.ts"
import * as LiveLevel from "../../src/log/LiveLevel.ts"
import type { Line } from "../aspect/LogSink.ts"

const sink = (lines: Array<Line>) =>
  Logger.layer([
    Logger.make(({ cause, fiber, logLevel, message }) => {
      lines.push({ level: logLevel, message, annotations: fiber.getRef(References.CurrentLogAnnotations), cause })
    })
  ])

const through = <A, E, R>(effect: Effect.Effect<A, E, R>, layer: Layer.Layer<never>) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    yield* Effect.provide(effect, Layer.provide(Layer.fresh(layer), sink(lines)))
    return lines
  })

describe("Fields", () => {
  const app = { id: "a1", name: "users", version: "1.2.0", metadata: {}, endpoints: [] }

  it.effect("puts the app and the span on every line", () =>
    Effect.gen(function* () {
      let span: { readonly traceId: string; readonly spanId: string } | undefined
      const effect = Effect.gen(function* () {
        yield* Effect.logInfo("outside")
        span = yield* Effect.currentSpan.pipe(
          Effect.tap(() => Effect.logInfo("inside")),
          Effect.withSpan("work"),
          Effect.orDie
        )
      }).pipe(Effect.annotateLogs({ own: 1, "service.version": "mine" }), Effect.provideService(AppInfo, app))
      const [outside, inside] = yield* through(effect, Fields.layer({ fields: () => ({ region: "eu" }) }))
      const identity = { "service.id": "a1", "service.name": "users", "service.version": "mine", region: "eu", own: 1 }
      assert.deepStrictEqual(outside!.annotations, identity)
      assert.deepStrictEqual(inside!.annotations, { ...identity, trace_id: span!.traceId, span_id: span!.spanId })
      const [v2] = yield* through(Effect.withSpan(Effect.logInfo("x"), "s"), Fields.layer({ names: "v2" }))
      assert.containsAllKeys(v2!.annotations, ["trace.id", "span.id"])
    })
  )

  it.effect("knows the app of the program where a fiber has none", () =>
    Effect.gen(function* () {
      const lines: Array<Line> = []
      yield* Effect.gen(function* () {
        yield* Effect.logInfo("before")
        yield* (yield* Lifecycle).identify(app)
        yield* Effect.logInfo("after")
      }).pipe(Effect.provide(Fields.layer().pipe(Layer.provide(sink(lines)), Layer.provideMerge(Lifecycle.layer))))
      assert.deepStrictEqual(
        lines.map(({ annotations }) => annotations["service.name"]),
        [undefined, "users"]
      )
    })
  )

  it.effect("loses no line to a field that fails", () =>
    Effect.gen(function* () {
      const broken = Fields.layer({
        fields: () => {
          throw new Error("no")
        }
      })
      assert.lengthOf(yield* through(Effect.logInfo("x"), broken), 1)
    })
  )
})

describe("Filter", () => {
  it.effect("masks keys and values wherever they are", () =>
    Effect.gen(function* () {
      const secret = Redacted.make("hunter2")
      const effect = Effect.logInfo("login", { user: "ann", Password: "hunter2", deep: [{ token: "t" }], kept: secret }).pipe(
        Effect.annotateLogs({ authorization: "Bearer x", args: { card: { number: "4111" }, number: 1 }, key: "value-to-hide" })
      )
      const [line] = yield* through(
        effect,
        Filter.layer({ keys: ["password", "authorization", "token", "args.card.number"], values: ["value-to-hide"] })
      )
      assert.deepStrictEqual(line!.message, ["login", { user: "ann", Password: "***", deep: [{ token: "***" }], kept: secret }])
      assert.deepStrictEqual(line!.annotations, { authorization: "***", args: { card: { number: "***" }, number: 1 }, key: "***" })
      assert.strictEqual(String(secret), "<redacted>")
    })
  )

  it.effect("ends at cycles and drops by level and predicate", () =>
    Effect.gen(function* () {
      const cycle: Record<string, unknown> = { password: "x" }
      cycle["self"] = cycle
      const [line] = yield* through(Effect.logInfo(cycle), Filter.layer({ keys: ["password"] }))
      assert.notInclude(JSON.stringify(line!.message), '"x"')
      const noise = Filter.layer({
        level: "Warn",
        keys: ["secret"],
        drop: ({ message }, fields) => String(message) === "noise" && fields["secret"] === Filter.MASK
      })
      const all = Effect.andThen(Effect.logInfo("low"), Effect.andThen(Effect.logWarning("noise"), Effect.logError("kept")))
      const lines = yield* through(all.pipe(Effect.annotateLogs({ secret: "s" })), noise)
      assert.deepStrictEqual(
        lines.map(({ message }) => message),
        [["kept"]]
      )
    })
  )
})

describe("LiveLevel", () => {
  const levels = ["Debug", "Info", "Warn"] as const
  const sayAll = Effect.forEach(levels, (level) => Effect.logWithLevel(level)(level))
  const live = <E>(effect: (level: LiveLevel.LiveLevel["Service"], lines: Array<Line>) => Effect.Effect<unknown, E>) =>
    Effect.gen(function* () {
      const lines: Array<Line> = []
      yield* Effect.flatMap(LiveLevel.LiveLevel, (level) => effect(level, lines)).pipe(
        Effect.provide(Layer.fresh(LiveLevel.layer()).pipe(Layer.provide(sink(lines))))
      )
      return lines.map(({ level }) => level)
    })

  it.effect("changes what fibers log that run already", () =>
    Effect.gen(function* () {
      const seen = yield* live((level, lines) =>
        Effect.gen(function* () {
          const running = yield* Effect.forkChild(Effect.forever(Effect.andThen(sayAll, Effect.sleep("1 second"))))
          yield* TestClock.adjust("0 seconds")
          assert.deepStrictEqual(
            lines.splice(0).map((line) => line.level),
            ["Info", "Warn"]
          )
          yield* level.set("Debug")
          assert.isTrue(LiveLevel.isEnabled(yield* Effect.context<never>(), "Debug"))
          yield* TestClock.adjust("1 second")
          assert.lengthOf(lines.splice(0), 3)
          yield* level.set("None")
          yield* TestClock.adjust("1 second")
          yield* Fiber.interrupt(running)
        })
      )
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("goes back after a while to what was set to last", () =>
    live((level) =>
      Effect.gen(function* () {
        const history: Array<string> = []
        yield* Effect.forkChild(
          Stream.runForEach(level.changes, (one) => Effect.sync(() => history.push(one))),
          { startImmediately: true }
        )
        yield* level.setFor("Debug", "1 minute")
        yield* TestClock.adjust("30 seconds")
        yield* level.setFor("Trace", "1 minute")
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(yield* level.get, "Trace")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* level.get, "Info")
        yield* level.setFor("Debug", "1 minute")
        yield* level.set("Error")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* level.get, "Error")
        assert.deepStrictEqual(history, ["Info", "Debug", "Trace", "Info", "Debug", "Error"])
      })
    )
  )

  it.effect("follows a stream", () =>
    Effect.gen(function* () {
      const lines: Array<Line> = []
      const level = yield* Effect.flatMap(LiveLevel.LiveLevel, ({ get }) => Effect.andThen(TestClock.adjust("1 second"), get)).pipe(
        Effect.provide(
          LiveLevel.follow(Stream.fromEffect(Effect.as(Effect.sleep("1 second"), "Error" as const))).pipe(
            Layer.provideMerge(Layer.fresh(LiveLevel.layer())),
            Layer.provide(sink(lines))
          )
        )
      )
      assert.strictEqual(level, "Error")
    })
  )

  it("reads names as Effect and Kratos write them", () => {
    assert.deepStrictEqual(["DEBUG", "warning", " Fatal ", "all", "loud", "__proto__"].map(LiveLevel.parse), [
      "Debug",
      "Warn",
      "Fatal",
      "All",
      undefined,
      undefined
    ])
  })
})
