import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import type * as Aspect from "../../src/Aspect.ts"
import * as Logging from "../../src/aspect/Logging.ts"
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
})
