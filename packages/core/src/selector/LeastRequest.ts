/**
 * The node with the fewest calls in flight for its weight. Among equals it goes on in turn, so that a client with little to do does not send everything to
 * the first. `choices` looks at so many at random instead of at all, as Envoy's LEAST_REQUEST does.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"

export interface Options {
  /** Nodes that are compared, at random; at least 2. Default: all of them. */
  readonly choices?: number | undefined
}

export const make = ({ choices }: Options = {}): Balancer.Make =>
  Effect.map(Random.Random, (random) => {
    let turn = 0
    const ofAll = (candidates: ReadonlyArray<Candidate<void>>): Candidate<void> => {
      const { length } = candidates
      if (turn >= length) turn = 0
      let at = turn
      let best = candidates[at]!
      let least = load(best)
      for (let i = turn + 1, n = 1; n < length; n++, i++) {
        if (i === length) i = 0
        const candidate = candidates[i]!
        const its = load(candidate)
        if (its < least) {
          best = candidate
          least = its
          at = i
        }
      }
      turn = at + 1
      return best
    }
    const ofSome = (candidates: ReadonlyArray<Candidate<void>>): Candidate<void> => {
      const some = Math.max(2, choices ?? 2)
      if (some >= candidates.length) return ofAll(candidates)
      let best = candidates[Math.floor(random.nextDoubleUnsafe() * candidates.length)]!
      for (let i = 1; i < some; i++) {
        const candidate = candidates[Math.floor(random.nextDoubleUnsafe() * candidates.length)]!
        if (load(candidate) < load(best)) best = candidate
      }
      return best
    }
    return Balancer.make<void>({ state: () => undefined, pick: choices === undefined ? ofAll : ofSome })
  })

/** Calls for each unit of weight, with the one that it would get. */
const load = ({ inFlight, weight }: Candidate<void>): number => (weight === 0 ? Number.MAX_VALUE : (inFlight + 1) / weight)
