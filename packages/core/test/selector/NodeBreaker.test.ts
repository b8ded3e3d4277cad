import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as KratosError from "../../src/error/KratosError.ts"
import * as RetryAdvice from "../../src/error/RetryAdvice.ts"
import type { Attempt, Outcome } from "../../src/selector/Attempt.ts"
import type { Candidate } from "../../src/selector/Candidate.ts"
import * as Node from "../../src/selector/Node.ts"
import * as NodeBreaker from "../../src/selector/NodeBreaker.ts"
import * as CallFixture from "../CallFixture.ts"

const call = CallFixture.make({ side: "client" })
const candidate = (address: string): Candidate => ({ node: Node.make(address), weight: 100, share: 1, inFlight: 0, state: undefined })

describe("NodeBreaker", () => {
  it.effect("keeps calls from the node that fails, and from no other; lets them back", () =>
    Effect.gen(function* () {
      const gate = yield* NodeBreaker.make()
      const [bad, good] = [candidate("bad:1"), candidate("good:1")]
      const send = (to: Candidate, outcome: Outcome): boolean => {
        if (!gate.allow(to, call)) return false
        const attempt: Attempt = { candidate: to, call, outcome, error: undefined, mark: 0, slot: -1 }
        gate.started?.(attempt)
        gate.done?.(attempt)
        return true
      }
      const count = (n: number, to: Candidate, outcome: Outcome) =>
        Array.from({ length: n }, () => send(to, outcome)).filter(Boolean).length
      assert.isBelow(count(200, bad, "failure"), 100)
      assert.isFalse(send(bad, "failure"))
      assert.strictEqual(count(200, good, "success"), 200)
      const refusal = gate.refusal!(call)
      assert.deepStrictEqual([refusal.code, refusal.reason], [503, "CIRCUITBREAKER"])
      assert.isTrue(RetryAdvice.isFinal(refusal))
      let served = 0
      for (let i = 0; i < 60; i++) {
        yield* TestClock.adjust("100 millis")
        if (send(bad, "success")) served++
      }
      assert.isAbove(served, 20)
      assert.strictEqual(KratosError.code(refusal), 503)
    }).pipe(Random.withSeed("nodes"))
  )

  it.effect("takes nothing from attempts that say nothing of the node", () =>
    Effect.gen(function* () {
      const gate = yield* NodeBreaker.make()
      const node = candidate("node:1")
      for (const outcome of ["cancelled", "unprocessed"] as const) {
        for (let i = 0; i < 100; i++) {
          assert.isTrue(gate.allow(node, call))
          const attempt: Attempt = { candidate: node, call, outcome, error: undefined, mark: 0, slot: -1 }
          gate.started?.(attempt)
          gate.done?.(attempt)
        }
      }
    })
  )
})
