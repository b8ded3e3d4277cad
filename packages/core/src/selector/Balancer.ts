/**
 * Chooses the node of a call. An implementation says what it keeps of each node, and hears of the calls that were sent; which nodes there are, which of
 * them are up, and what is in flight is kept by the `Selector`. `testing/BalancerLaws` is its law suite.
 */
import type * as Effect from "effect/Effect"
import type { CallShape } from "../Call.ts"
import type { Attempt } from "./Attempt.ts"
import type { Candidate } from "./Candidate.ts"
import type { Node } from "./Node.ts"

export interface Balancer<in out S> {
  /** What is kept of a node, made when it is listed first. */
  readonly state: (node: Node) => S
  /**
   * One of `candidates`, of which there is at least one. The array is the same one as long as nothing has changed, and must not be changed. Plain and quick:
   * it runs for every call; what it throws is logged, and the first candidate taken.
   */
  readonly pick: (candidates: ReadonlyArray<Candidate<S>>, call: CallShape) => Candidate<S>
  /** A call is sent; `inFlight` counts it already. */
  readonly started?: ((attempt: Attempt<S>) => void) | undefined
  /** It has ended: exactly once for each that was started; `inFlight` does not count it any more. */
  readonly ended?: ((attempt: Attempt<S>) => void) | undefined
}

/** A balancer whose state is its own affair. */
export type Any = Balancer<unknown>

/** Makes the balancer of one target; runs once for each. */
export type Make = Effect.Effect<Any>

/** A balancer for a selector, which hands each node's state back to it unseen. */
export const make = <S>(balancer: Balancer<S>): Any =>
  // the states that it sees are those that it has made
  balancer as unknown as Any
