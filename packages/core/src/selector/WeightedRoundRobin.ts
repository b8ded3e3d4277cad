/**
 * Smooth weighted round robin, nginx's: of nodes with weights 5, 1, 1 each gets its share exactly, and the picks of the first are spread between the
 * others'. Kratos' default, and ours. Nodes of weight 0 take no calls as long as there are others.
 */
import * as Effect from "effect/Effect"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"

interface State {
  current: number
}

const pick = (candidates: ReadonlyArray<Candidate<State>>): Candidate<State> => {
  let best = candidates[0]!
  let total = 0
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    const { state, weight } = candidate
    if (weight === 0) continue
    total += weight
    state.current += weight
    if (state.current > most) {
      most = state.current
      best = candidate
    }
  }
  if (total > 0) best.state.current -= total
  else best = inTurn(candidates)
  return best
}

/** All weights are 0. */
const inTurn = (candidates: ReadonlyArray<Candidate<State>>): Candidate<State> => {
  let best = candidates[0]!
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!
    candidate.state.current++
    if (candidate.state.current > best.state.current) best = candidate
  }
  best.state.current -= candidates.length
  return best
}

const balancer: Balancer.Any = Balancer.make<State>({ state: () => ({ current: 0 }), pick })

export const make: Balancer.Make = Effect.succeed(balancer)
