import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Aspect from "../../src/Aspect.ts"
import * as Recovery from "../../src/aspect/Recovery.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as CallFixture from "../CallFixture.ts"
import * as LogSink from "./LogSink.ts"

const call = CallFixture.make()
const bug = new Error("hunter2")

/** Both ways to run it; they must not differ. */
const run = <A, E>(aspect: Aspect.Aspect<unknown, unknown>, handler: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const lines: Array<LogSink.Line> = []
    const alone: Array<LogSink.Line> = []
    const exit = yield* CallFixture.runCompiled(call, aspect, handler).pipe(LogSink.provide(lines))
    const plain = yield* Effect.exit(CallFixture.run(call, aspect(handler) as Effect.Effect<A, unknown>)).pipe(LogSink.provide(alone))
    assert.deepStrictEqual(lines.length, alone.length)
    assert.strictEqual(exit._tag, plain._tag)
    return { exit, lines }
  })

const failure = (exit: Exit.Exit<unknown, unknown>): KratosError.KratosError => {
  assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.length === 1)
  const reason = (exit as Exit.Failure<unknown, unknown>).cause.reasons[0]!
  assert.isTrue(Cause.isFailReason(reason))
  return (reason as Cause.Fail<KratosError.KratosError>).error
}

describe("Recovery", () => {
  it.effect("makes Kratos' error of a defect, and logs it once with its stack and operation", () =>
    Effect.gen(function* () {
      const { exit, lines } = yield* run(Recovery.server, Effect.die(bug))
      const error = failure(exit)
      assert.deepStrictEqual([error.code, error.reason, error.message, error.cause], [500, "UNKNOWN", "unknown request error", bug])
      assert.notInclude(JSON.stringify(error), "hunter2")
      assert.lengthOf(lines, 1)
      assert.deepStrictEqual(lines[0]!.level, "Error")
      assert.deepStrictEqual(lines[0]!.annotations, { kind: "server", component: "grpc", operation: "/user.v1.Users/Get" })
      assert.include(Cause.pretty(lines[0]!.cause), "Recovery.test.ts")
    })
  )

  it.effect("leaves success, failure and interrupt alone, and says nothing of them", () =>
    Effect.gen(function* () {
      for (const handler of [
        Effect.succeed(1),
        Effect.fail("declared"),
        Effect.interrupt,
        Effect.failCause(Cause.combine(Cause.interrupt(1), Cause.die(bug)))
      ]) {
        const expected = yield* Effect.exit(handler)
        const { exit, lines } = yield* run(Recovery.server, handler)
        assert.strictEqual(String(exit), String(expected))
        assert.lengthOf(lines, 0)
      }
    })
  )

  it.effect("lets the program choose the answer", () =>
    Effect.gen(function* () {
      const aspect = Recovery.make({
        handler: (defect, { operation }) => KratosError.serviceUnavailable("BUG", `${String(defect)} in ${operation}`)
      })
      const { exit } = yield* run(aspect, Effect.die("x"))
      assert.deepStrictEqual([failure(exit).reason, failure(exit).message], ["BUG", "x in /user.v1.Users/Get"])
      expectTypeOf(Recovery.make({ handler: () => "mine" as const })).toEqualTypeOf<Aspect.Aspect<"mine" | KratosError.KratosError>>()
      expectTypeOf(Recovery.server).toEqualTypeOf<Aspect.Aspect<KratosError.KratosError>>()
    })
  )

  it.effect("falls back when the handler has a bug too, and logs both", () =>
    Effect.gen(function* () {
      const aspect = Recovery.make({
        handler: () => {
          throw new Error("second")
        }
      })
      const { exit, lines } = yield* run(aspect, Effect.die(bug))
      assert.strictEqual(failure(exit).reason, "UNKNOWN")
      assert.deepStrictEqual(
        lines.map(({ cause }) => String(Cause.squash(cause))),
        ["Error: hunter2", "Error: second"]
      )
    })
  )
})
