/** Any node, all alike whatever their weights, as Kratos' `random`; `weighted` makes weights count. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"

export interface Options {
  /** Nodes are chosen in proportion to their weights. Default false. */
  readonly weighted?: boolean | undefined
}

/** Tries to find a node past its slow start before one in it is taken all the same. */
const TRIES = 3

export const make = ({ weighted = false }: Options = {}): Balancer.Make =>
  Effect.map(Random.Random, (random) => {
    const uniform = (candidates: ReadonlyArray<Candidate<void>>): Candidate<void> => {
      for (let i = 1; ; i++) {
        const candidate = candidates[Math.floor(random.nextDoubleUnsafe() * candidates.length)]!
        if (candidate.share === 1 || i === TRIES || random.nextDoubleUnsafe() < candidate.share) return candidate
      }
    }
    const byWeight = (candidates: ReadonlyArray<Candidate<void>>): Candidate<void> => {
      let total = 0
      for (let i = 0; i < candidates.length; i++) total += candidates[i]!.weight
      if (total === 0) return uniform(candidates)
      let at = random.nextDoubleUnsafe() * total
      let last = candidates[0]!
      for (let i = 0; i < candidates.length; i++) {
        const candidate = candidates[i]!
        if (candidate.weight === 0) continue
        last = candidate
        at -= candidate.weight
        if (at < 0) break
      }
      return last
    }
    return Balancer.make<void>({ state: () => undefined, pick: weighted ? byWeight : uniform })
  })
