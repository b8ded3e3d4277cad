/** Our balancers keep the laws that they set for others, and so does one as a user writes it. */
import * as Balancer from "@effect-kratos/core/selector/Balancer"
import type { Candidate } from "@effect-kratos/core/selector/Candidate"
import * as ConsistentHash from "@effect-kratos/core/selector/ConsistentHash"
import * as LeastRequest from "@effect-kratos/core/selector/LeastRequest"
import * as P2c from "@effect-kratos/core/selector/P2c"
import * as RandomBalancer from "@effect-kratos/core/selector/Random"
import * as WeightedRoundRobin from "@effect-kratos/core/selector/WeightedRoundRobin"
import * as Effect from "effect/Effect"
import * as BalancerLaws from "../src/BalancerLaws.ts"

BalancerLaws.suite("weighted round robin", WeightedRoundRobin.make)
BalancerLaws.suite("random", RandomBalancer.make())
BalancerLaws.suite("random by weight", RandomBalancer.make({ weighted: true }))
BalancerLaws.suite("least request", LeastRequest.make())
BalancerLaws.suite("least request of two", LeastRequest.make({ choices: 2 }))
BalancerLaws.suite("P2C", P2c.make)
BalancerLaws.suite("consistent hash", ConsistentHash.make({ key: "x-key" }), { metadata: (i) => ({ "x-key": String(i) }) })
BalancerLaws.suite("consistent hash with bounded loads", ConsistentHash.make({ key: "x-key", loadFactor: 1.25 }), {
  metadata: (i) => ({ "x-key": String(i) })
})

/** As a user writes one: the node that was idle longest. */
interface Last {
  at: number
}
BalancerLaws.suite(
  "one of a user's own",
  Effect.sync(() => {
    let turn = 0
    return Balancer.make<Last>({
      state: () => ({ at: 0 }),
      pick: (candidates) => candidates.reduce((best: Candidate<Last>, one) => (one.state.at < best.state.at ? one : best)),
      started: ({ candidate }) => void (candidate.state.at = ++turn)
    })
  })
)
