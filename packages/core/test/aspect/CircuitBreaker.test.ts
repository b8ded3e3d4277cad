import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as CircuitBreaker from "../../src/aspect/CircuitBreaker.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as RetryAdvice from "../../src/error/RetryAdvice.ts"
import * as CallFixture from "../CallFixture.ts"

const failure = (code: number) => Effect.fail(KratosError.make(code, "", ""))

describe("CircuitBreaker", () => {
  it.effect("rejects what fails anyway, each operation for itself, and lets traffic back in", () =>
    Effect.gen(function* () {
      const breaker = CircuitBreaker.make()
      let reached = 0
      const run = (operation: string, outcome: Effect.Effect<string, KratosError.KratosError>) =>
        CallFixture.runCompiled(
          CallFixture.make({ side: "client", operation }),
          breaker,
          Effect.andThen(
            Effect.sync(() => reached++),
            outcome
          )
        )
      for (let i = 0; i < 200; i++) yield* run("/a", failure(503))
      assert.isBelow(reached, 100)
      const rejected = yield* Effect.flip(yield* run("/a", failure(503)))
      assert.deepStrictEqual([KratosError.code(rejected), KratosError.reason(rejected)], [503, "CIRCUITBREAKER"])
      assert.isTrue(RetryAdvice.isFinal(rejected))
      assert.isTrue(Exit.isSuccess(yield* run("/b", Effect.succeed("up"))))
      let served = 0
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("100 millis")
        if (Exit.isSuccess(yield* run("/a", Effect.succeed("up")))) served++
      }
      assert.isAbove(served, 20)
      assert.isTrue(Exit.isSuccess(yield* run("/a", Effect.succeed("up"))))
    }).pipe(Random.withSeed("breaker"))
  )

  it.effect("takes no answer of the business for a failure, nor an interrupt for anything", () =>
    Effect.gen(function* () {
      for (const outcome of [failure(404), failure(429), failure(501), Effect.interrupt]) {
        const breaker = CircuitBreaker.make()
        for (let i = 0; i < 100; i++) {
          const exit = yield* CallFixture.runCompiled(CallFixture.make({ side: "client" }), breaker, outcome)
          if (Exit.hasInterrupts(exit)) continue
          assert.notStrictEqual(KratosError.reason(yield* Effect.flip(exit)), CircuitBreaker.reason)
        }
        const last = yield* CallFixture.runCompiled(CallFixture.make({ side: "client" }), breaker, Effect.succeed("up"))
        assert.isTrue(Exit.isSuccess(last))
      }
    })
  )
})
