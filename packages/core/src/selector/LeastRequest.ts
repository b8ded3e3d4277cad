/**
 * The node with the fewest calls in flight for its weight; those that are equal share the calls by smooth weighted round robin, so that a client with little
 * to do does not send everything to one. `choices` looks at so many at random instead of at all, as Envoy's LEAST_REQUEST does.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"

export interface Options {
  /** Nodes that are compared, at random; at least 2. Default: all of them. */
  readonly choices?: number | undefined
}

interface State {
  current: number
}

export const make = ({ choices }: Options = {}): Balancer.Make =>
  Effect.map(Random.Random, (random) => {
    const any = (candidates: ReadonlyArray<Candidate<State>>): Candidate<State> =>
      candidates[Math.floor(random.nextDoubleUnsafe() * candidates.length)]!
    const ofSome = (candidates: ReadonlyArray<Candidate<State>>): Candidate<State> => {
      const some = Math.max(2, choices ?? 2)
      if (some >= candidates.length) return ofAll(candidates)
      let best = any(candidates)
      for (let i = 1; i < some; i++) {
        const candidate = any(candidates)
        if (load(candidate) < load(best)) best = candidate
      }
      return best
    }
    return Balancer.make<State>({ state: () => ({ current: 0 }), pick: choices === undefined ? ofAll : ofSome })
  })

const ofAll = (candidates: ReadonlyArray<Candidate<State>>): Candidate<State> => {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < candidates.length; i++) least = Math.min(least, load(candidates[i]!))
  let best: Candidate<State> | undefined
  let total = 0
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    if (load(candidate) !== least) continue
    // of nodes of weight 0 all are alike
    const weight = candidate.weight || 1
    total += weight
    candidate.state.current += weight
    if (best === undefined || candidate.state.current > best.state.current) best = candidate
  }
  best!.state.current -= total // one of them has the least
  return best!
}

/** Calls in flight for each unit of weight. */
const load = ({ inFlight, weight }: Candidate<State>): number => (weight === 0 ? Number.MAX_VALUE : inFlight / weight)
