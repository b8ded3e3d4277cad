/**
 * Says whether a node may have a call: a circuit breaker or a limit for each node. The balancer chooses first; a node that a gate refuses is passed over
 * for the next choice.
 */
import type * as Effect from "effect/Effect"
import type { CallShape } from "../Call.ts"
import type { KratosError } from "../error/KratosError.ts"
import type { Attempt } from "./Attempt.ts"
import type { Candidate } from "./Candidate.ts"

export interface Gate {
  /**
   * Whether the node may have the call. Asked of the node that was chosen, and of the next choice when it says no. A question only: what is counted is
   * counted by `started`, because an allowed call may still not be sent. A candidate stays the same object as long as its address is listed, so that
   * what is kept of it can be kept in a `WeakMap`.
   */
  readonly allow: (candidate: Candidate, call: CallShape) => boolean
  /** A call that was allowed is sent. */
  readonly started?: ((attempt: Attempt) => void) | undefined
  /** It has ended: exactly once for each that was started, interrupted ones included; `outcome` and `error` say how. */
  readonly done?: ((attempt: Attempt) => void) | undefined
  /**
   * The failure of a call that no node may have. Without it the call waits, as it waits for a free stream, until a call ends: in the queue of its channel
   * and within its deadline.
   */
  readonly refusal?: ((call: CallShape) => KratosError) | undefined
}

/** Makes the gate of one target; runs once for each. */
export type Make = Effect.Effect<Gate>
