import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as FaultInjection from "../../src/aspect/FaultInjection.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as Metadata from "../../src/Metadata.ts"
import * as CallFixture from "../CallFixture.ts"

const run = (aspect: ReturnType<typeof FaultInjection.make>, headers: Record<string, string> = {}, operation = "/a.B/C") =>
  Effect.exit(CallFixture.run(CallFixture.make({ operation, request: Metadata.fromRecord(headers) }), aspect(Effect.succeed("reply"))))

describe("FaultInjection", () => {
  it.effect("does nothing unless it is told to", () =>
    Effect.gen(function* () {
      const effect = Effect.succeed(1)
      assert.strictEqual(FaultInjection.make({})(effect), effect)
      const deaf = FaultInjection.make({ rules: [{ matches: () => false, abort: { code: 500 } }] })
      assert.isTrue(Exit.isSuccess(yield* run(deaf, { "x-fault-abort": "503", "x-fault-delay": "1000" })))
    })
  )

  it.effect("aborts a share of the calls that a rule is for, with its code and reason", () =>
    Effect.gen(function* () {
      const aspect = FaultInjection.make({
        rules: [
          { matches: ({ operation }) => operation === "/a.B/Odd", abort: { code: 409, reason: "ODD" } },
          { abort: { code: 503, percentage: 25 } }
        ]
      })
      const odd = yield* run(aspect, {}, "/a.B/Odd")
      assert.deepInclude(KratosError.statusFromExit(odd), { code: 409, reason: "ODD" })
      let failed = 0
      for (let i = 0; i < 2000; i++) {
        const exit = yield* run(aspect)
        if (Exit.isSuccess(exit)) continue
        failed++
        assert.deepInclude(KratosError.statusFromExit(exit), { code: 503, reason: "FAULT_INJECTED" })
      }
      assert.closeTo(failed / 2000, 0.25, 0.04)
    }).pipe(Random.withSeed("faults"))
  )

  it.effect("delays on the clock, then fails", () =>
    Effect.gen(function* () {
      const aspect = FaultInjection.make({ rules: [{ delay: { duration: "3 seconds" }, abort: { code: 500 } }] })
      const fiber = yield* Effect.forkChild(run(aspect), { startImmediately: true })
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
    })
  )

  it.effect("does what headers ask for where it may, within bounds", () =>
    Effect.gen(function* () {
      const aspect = FaultInjection.make({ headers: true, maxDelay: "1 second" })
      const failed = yield* run(aspect, { "x-fault-abort": "429", "x-fault-reason": "BUSY" })
      assert.deepInclude(KratosError.statusFromExit(failed), { code: 429, reason: "BUSY" })
      for (const code of ["200", "99", "600", "1e3", "-1", ""]) assert.isTrue(Exit.isSuccess(yield* run(aspect, { "x-fault-abort": code })))
      const fiber = yield* Effect.forkChild(run(aspect, { "x-fault-delay": "999999999" }), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
    })
  )
})
