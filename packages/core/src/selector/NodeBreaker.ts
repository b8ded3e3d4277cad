/**
 * A circuit breaker for each node: calls pass over a node that fails for the others, and fail with 503 `CIRCUITBREAKER` when all of them do. By the formula of
 * the Google SRE book (`aegis/SreBreaker`), which notices within seconds; outlier ejection, which is on by default, compares nodes over a longer time.
 */
import * as SreBreaker from "@effect-kratos/aegis/SreBreaker"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as KratosError from "../error/KratosError.ts"
import * as RetryAdvice from "../error/RetryAdvice.ts"
import type { Attempt } from "./Attempt.ts"
import type { Candidate } from "./Candidate.ts"
import type * as Gate from "./Gate.ts"

interface Kept {
  readonly breaker: SreBreaker.SreBreaker
  /** Of the call that was allowed last; it is sent in the same step or not at all. */
  ticket: SreBreaker.Ticket
}

export const make = (options: SreBreaker.Options = {}): Gate.Make =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const nodes = new WeakMap<Candidate, Kept>()
    const tickets = new WeakMap<Attempt, SreBreaker.Ticket>()
    const of = (candidate: Candidate): Kept => {
      let kept = nodes.get(candidate)
      if (kept === undefined) nodes.set(candidate, (kept = { breaker: SreBreaker.makeUnsafe(options, random), ticket: 0 }))
      return kept
    }
    const failure = RetryAdvice.markFinal(KratosError.serviceUnavailable("CIRCUITBREAKER", "the circuit breakers of all nodes are open"))
    return {
      allow: (candidate) => {
        const kept = of(candidate)
        kept.ticket = kept.breaker.tryAcquire(clock.currentTimeMillisUnsafe())
        return kept.ticket !== 0
      },
      started: (attempt) => void tickets.set(attempt, of(attempt.candidate).ticket),
      done: (attempt) => {
        const ticket = tickets.get(attempt)
        if (ticket === undefined || attempt.outcome === "cancelled" || attempt.outcome === "unprocessed") return
        const { breaker } = of(attempt.candidate)
        breaker[attempt.outcome === "failure" ? "fail" : "succeed"](clock.currentTimeMillisUnsafe(), ticket)
      },
      refusal: () => failure
    }
  })
