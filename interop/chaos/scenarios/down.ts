/**
 * A backend that is down altogether: retries must not make it worse. Seen three ways: nobody listens, with a breaker beside the retries as a client should have;
 * every call is answered with 503, with retries alone, whose budget is 20 % of the calls and 10 a second; and the same behind three layers that all retry.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as CircuitBreaker from "@effect-kratos/core/aspect/CircuitBreaker"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as Journal from "@effect-kratos/testing/Journal"
import * as Laws from "@effect-kratos/testing/Laws"
import * as Load from "@effect-kratos/testing/Load"
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as Effect from "effect/Effect"
import * as Fleet from "../Fleet.ts"
import type { Scenario } from "../Scenario.ts"

/** Calls a second. The budget's 10 a second are 0.05 attempts of a call then. */
const RATE = 200

/** What the default budget allows: for each call a fifth, and 10 a second with one second's in advance. */
const budget = (calls: ReadonlyArray<Journal.ClientEntry>): number => {
  const span = Math.max(...calls.map(({ end = 0 }) => end)) - Math.min(...calls.map(({ start }) => start))
  return 1.2 + (10 * (span / 1000 + 1)) / calls.length
}

const run = Effect.fnUntraced(function* (seconds: number) {
  const fleet = yield* Fleet.make({ wait: 0 })
  const duration = `${seconds / 3} seconds` as const
  /** Calls through a stack with what is down behind it. */
  const part = Effect.fnUntraced(function* (target: string, prefix: string, aspects: Fleet.Aspects) {
    const journal = Journal.make(prefix)
    const work = yield* Fleet.client(target, { aspects: Aspect.compose(aspects, Journal.client) })
    yield* Load.steady({ rate: RATE, duration }, () => journal.record({ idempotent: true })(work.do({})))
    return journal.entries
  }, Effect.scoped)

  const gone = yield* fleet.start({ id: "gone" })
  yield* gone.kill
  const refused = yield* part(`127.0.0.1:${gone.ready}`, "refused-", Aspect.compose(Retry.make(), CircuitBreaker.make()))

  const broken = yield* fleet.start({ id: "broken", broken: true })
  const alone = yield* part(`127.0.0.1:${broken.ready}`, "alone-", Retry.make())

  const second = yield* fleet.start({ id: "second", upstream: `127.0.0.1:${broken.ready}`, retries: true })
  const first = yield* fleet.start({ id: "first", upstream: `127.0.0.1:${second.ready}`, retries: true })
  const chain = yield* part(`127.0.0.1:${first.ready}`, "chain-", Retry.make())

  const arrived = (yield* fleet.journal).filter(
    ({ event, id, node }) => event === "started" && node === "broken" && id.startsWith("chain-")
  ).length
  const succeeded = [...refused, ...alone, ...chain].filter(({ outcome }) => outcome === "ok")
  return Verdict.make(
    scenario.name,
    [
      Verdict.atMost("attempts per call, retries and a breaker", Laws.attempts(refused), 1.2),
      Verdict.atMost("attempts per call, retries alone", Laws.attempts(alone), budget(alone)),
      Verdict.atMost("attempts at the end of a chain of three per call at its head", arrived / chain.length, 1.3),
      Verdict.atLeast("retries were made at all", Laws.attempts(alone), 1.05),
      Verdict.equal("calls that succeeded", succeeded.length, 0)
    ],
    { calls: refused.length + alone.length + chain.length }
  )
})

export const scenario: Scenario = {
  name: "down",
  about: "a backend that is down altogether, alone and behind three layers of retries, 200 calls/s",
  seconds: { full: 180, short: 24 },
  run
}
