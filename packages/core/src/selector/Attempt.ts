/** One try of a call on one node, from the moment it is sent until it is known how it ended. */
import type { CallShape } from "../Call.ts"
import type { KratosError } from "../error/KratosError.ts"
import type { Candidate } from "./Candidate.ts"

/**
 * `success`: the node did its work, even if the reply is an error of the business; `failure`: it did not, or not in time; `cancelled`: the caller gave
 * up, which says nothing of the node; `unprocessed`: the node did not take the call, which may be sent again.
 */
export type Outcome = "success" | "failure" | "cancelled" | "unprocessed"

export interface Attempt<out S = unknown> {
  readonly candidate: Candidate<S>
  readonly call: CallShape
  /** Undefined until it has ended. */
  readonly outcome: Outcome | undefined
  /** How the node answered, or what kept it; undefined for a reply that is no error. */
  readonly error: KratosError | undefined
  /** A number that the balancer may keep with the attempt, 0 at first: the time of its start. */
  mark: number
  /** Another one, -1 at first. */
  slot: number
}

/**
 * Whether an error says that the node is at fault: 500, 502, 503 and 504 (UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN, DATA_LOSS on gRPC) do. What
 * the caller did wrong, what does not exist, what is not implemented and what a limit refused (429) does not.
 */
export const isFailure = ({ code }: KratosError): boolean => code >= 500 && code !== 501 && code !== 505
