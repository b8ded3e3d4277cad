/**
 * Power of two choices: of two nodes at random the one that has been quicker, more reliable and less busy of late (see `Ewma`). Keeps traffic off a node
 * that is slow but alive. A node that has not been picked for 3 s gets a call when it loses, so that its recovery is noticed. Weights of the metadata do
 * not count, as in Kratos; slow start does. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"; constants are Kratos'.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"
import { Ewma } from "./Ewma.ts"

/** Nanoseconds without a pick after which the loser is taken. */
const FORCED = 3_000_000_000

export const make: Balancer.Make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const now = (): number => Number(clock.monotonicTimeNanosUnsafe())
  const better = (a: Candidate<Ewma>, b: Candidate<Ewma>): Candidate<Ewma> => {
    const at = now()
    const first = a.state.weight(at) * a.share >= b.state.weight(at) * b.share
    const loser = first ? b : a
    if (at - loser.state.lastPick > FORCED) {
      // from now on it has been: the picks that follow in the same moment are not forced as well
      loser.state.lastPick = at
      return loser
    }
    return first ? a : b
  }
  return Balancer.make<Ewma>({
    state: () => new Ewma(),
    pick: (candidates) => {
      const { length } = candidates
      if (length === 1) return candidates[0]!
      const i = Math.floor(random.nextDoubleUnsafe() * length)
      let j = Math.floor(random.nextDoubleUnsafe() * (length - 1))
      if (j >= i) j++
      return better(candidates[i]!, candidates[j]!)
    },
    started: (attempt) => attempt.candidate.state.started(attempt, now()),
    ended: (attempt) => attempt.candidate.state.ended(attempt, now())
  })
})
