import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import type * as Aspect from "../../src/Aspect.ts"
import * as Logging from "../../src/aspect/Logging.ts"
import type { Kind, Method } from "../../src/Call.ts"
import * as LiveLevel from "../../src/log/LiveLevel.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as CallFixture from "../CallFixture.ts"
import * as LogSink from "./LogSink.ts"

const call = CallFixture.make({ message: { name: "ann", password: "hunter2" } })

/** The lines of one call, run as a wire does. */
const lines = <A, E>(aspect: Aspect.Aspect, handler: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const lines: Array<LogSink.Line> = []
    yield* CallFixture.runCompiled(call, aspect, handler).pipe(LogSink.provide(lines))
    return lines
  })

const level = (aspect: Aspect.Aspect, handler: Effect.Effect<unknown, unknown>) =>
  Effect.map(lines(aspect, handler), ([line]) => line?.level)

describe("Logging", () => {
  it.effect("writes the fields of Kratos, in order, and no arguments", () =>
    Effect.gen(function* () {
      // the clock of the test stands still while the call waits, so that the latency is exact
      const [line] = yield* lines(Logging.server, TestClock.adjust("1500 millis"))
      assert.deepStrictEqual(line!.level, "Info")
      assert.deepStrictEqual(line!.message, ["server request"])
      assert.deepStrictEqual(Object.entries(line!.annotations), [
        ["kind", "server"],
        ["component", "grpc"],
        ["operation", "/user.v1.Users/Get"],
        ["code", 200],
        ["reason", ""],
        ["latency", 1.5]
      ])
      assert.deepStrictEqual((yield* lines(Logging.client, Effect.void))[0]!.message, ["client request"])
      assert.notInclude(JSON.stringify(line), "hunter2")
    })
  )

  it.effect("adds the error and its cause to the line of a failed call", () =>
    Effect.gen(function* () {
      const bug = new Error("why")
      const [line] = yield* lines(Logging.server, Effect.fail(KratosError.conflict("TAKEN", "name is taken", { cause: bug })))
      assert.strictEqual(line!.level, "Error")
      assert.deepInclude(line!.annotations, {
        code: 409,
        reason: "TAKEN",
        error: "error: code = 409 reason = TAKEN message = name is taken metadata = map[] cause = why"
      })
      assert.isTrue(Cause.hasFails(line!.cause))
      const [defect] = yield* lines(Logging.server, Effect.die(bug))
      assert.deepInclude(defect!.annotations, { code: 500, reason: "", error: "why" })
      assert.include(Cause.pretty(defect!.cause), "Logging.test.ts")
    })
  )

  it.effect("takes an interrupt for no error", () =>
    Effect.gen(function* () {
      const [line] = yield* lines(Logging.server, Effect.interrupt)
      assert.deepStrictEqual([line!.level, line!.annotations["code"], line!.annotations["error"]], ["Info", 499, undefined])
    })
  )

  it.effect("writes arguments only through `redact`", () =>
    Effect.gen(function* () {
      const redact = (message: unknown) => ({ name: (message as { readonly name: string }).name })
      const [line] = yield* lines(Logging.makeServer({ redact }), Effect.void)
      assert.deepStrictEqual(line!.annotations["args"], { name: "ann" })
      assert.deepStrictEqual(Object.keys(line!.annotations).slice(2, 5), ["operation", "args", "code"])
      const broken = Logging.makeServer({
        redact: () => {
          throw new Error("hunter2")
        }
      })
      assert.strictEqual((yield* lines(broken, Effect.void))[0]!.annotations["args"], "<redact failed>")
    })
  )

  it.effect("lets levels be chosen by status", () =>
    Effect.gen(function* () {
      const byClass = Logging.makeServer({ level: Logging.levelByClass })
      assert.strictEqual(yield* level(byClass, Effect.void), "Info")
      assert.strictEqual(yield* level(byClass, Effect.fail(KratosError.notFound("R", "m"))), "Warn")
      assert.strictEqual(yield* level(byClass, Effect.fail(KratosError.internalServer("R", "m"))), "Error")
      assert.strictEqual(yield* level(byClass, Effect.interrupt), "Info")
    })
  )

  it.effect("builds nothing for a level that is not logged", () =>
    Effect.gen(function* () {
      let built = 0
      const aspect = Logging.makeServer({ redact: () => built++ })
      const quiet = Effect.provideService(References.MinimumLogLevel, "Warn")
      assert.lengthOf(yield* lines(aspect, Effect.void).pipe(quiet), 0)
      assert.strictEqual(built, 0)
      assert.lengthOf(yield* lines(aspect, Effect.fail("x")).pipe(quiet), 1)
      assert.strictEqual(built, 1)
    })
  )

  it.effect("keeps the annotations around it", () =>
    Effect.gen(function* () {
      const [line] = yield* lines(Logging.server, Effect.void).pipe(Effect.annotateLogs("service.name", "users"))
      assert.deepInclude(line!.annotations, { "service.name": "users", kind: "server" })
    })
  )

  it.effect("writes a share of the lines below Warn, and all others", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const sample = ({ operation }: Method) => (asked.push(operation), operation.endsWith("Get") ? 0.25 : 1)
      const aspect = Logging.makeServer({ sample })
      const seen: Array<LogSink.Line> = []
      const run = (handler: Effect.Effect<unknown, unknown>, operation = "/user.v1.Users/Get") =>
        CallFixture.runCompiled(CallFixture.make({ operation }), aspect, handler).pipe(LogSink.provide(seen))
      const count = (effect: Effect.Effect<unknown>) => Effect.map(Effect.repeat(effect, { times: 399 }), () => seen.splice(0))
      const some = yield* count(run(Effect.void))
      assert.isAbove(some.length, 60)
      assert.isBelow(some.length, 140)
      assert.isTrue(some.every(({ annotations }) => annotations["sample_rate"] === 0.25))
      assert.lengthOf(yield* count(run(Effect.fail("no"))), 400)
      const whole = yield* count(run(Effect.void, "/user.v1.Users/Add"))
      assert.deepStrictEqual([whole.length, whole[0]!.annotations["sample_rate"]], [400, undefined])
      assert.deepStrictEqual(asked, ["/user.v1.Users/Get", "/user.v1.Users/Add"])
    }).pipe(Random.withSeed("sample"))
  )

  it.effect("limits lines that repeat, and says how many it left out", () =>
    Effect.gen(function* () {
      const aspect = Logging.makeServer({ limit: { lines: 2, interval: "10 seconds" } })
      const seen: Array<LogSink.Line> = []
      const run = (handler: Effect.Effect<unknown, unknown>) => CallFixture.runCompiled(call, aspect, handler).pipe(LogSink.provide(seen))
      const down = run(Effect.fail(KratosError.serviceUnavailable("DOWN", "m")))
      for (let i = 0; i < 50; i++) yield* down
      yield* run(Effect.fail(KratosError.notFound("MISSING", "m")))
      assert.deepStrictEqual(
        seen.splice(0).map(({ annotations }) => annotations["reason"]),
        ["DOWN", "DOWN", "MISSING"]
      )
      yield* TestClock.adjust("10 seconds")
      yield* down
      yield* down
      assert.deepStrictEqual(
        seen.map(({ annotations }) => annotations["suppressed"]),
        [48, undefined]
      )
      // what a peer makes up does not grow the table, and has a limit of its own
      seen.length = 0
      for (let i = 0; i < 3000; i++) yield* run(Effect.fail(KratosError.notFound(`R${i}`, "m")))
      assert.isBelow(seen.length, 1010)
    })
  )

  it.effect("writes the cause as text where that is asked for", () =>
    Effect.gen(function* () {
      const [line] = yield* lines(Logging.makeServer({ stack: true }), Effect.die(new Error("why")))
      assert.include(line!.annotations["stack"] as string, "Logging.test.ts")
      assert.lengthOf(line!.cause.reasons, 0)
      assert.deepStrictEqual(Object.keys(line!.annotations), [
        "kind",
        "component",
        "operation",
        "code",
        "reason",
        "stack",
        "latency",
        "error"
      ])
    })
  )

  it.effect("logs all four kinds alike, by a level that changes while it runs", () =>
    Effect.gen(function* () {
      const seen: Array<LogSink.Line> = []
      const kinds: ReadonlyArray<Kind> = ["unary", "client_streaming", "server_streaming", "bidi_streaming"]
      const all = Effect.forEach(kinds, (kind) => CallFixture.runCompiled(CallFixture.make({ kind }), Logging.server, Effect.void))
      yield* Effect.gen(function* () {
        const live = yield* LiveLevel.LiveLevel
        yield* all
        yield* live.set("Warn")
        yield* all
        yield* live.set("Info")
        yield* all
      }).pipe(Effect.provide(LiveLevel.layer()), LogSink.provide(seen))
      assert.lengthOf(seen, 8)
    })
  )
})
