/**
 * At most so many calls at a time on each node. A call that finds all of them full waits for one to end, in the queue of its channel and within its
 * deadline; with `reject` it fails at once with 503.
 */
import * as Effect from "effect/Effect"
import * as KratosError from "../error/KratosError.ts"
import type { Candidate } from "./Candidate.ts"
import type * as Gate from "./Gate.ts"

export interface Options {
  /** Calls of this client on one node; a function of the node where they differ. At least 1. */
  readonly limit: number | ((candidate: Candidate) => number)
  /** Fails calls that find no room, instead of having them wait. Default false. */
  readonly reject?: boolean | undefined
}

export const make = ({ limit, reject = false }: Options): Gate.Make => {
  const limitOf = typeof limit === "number" ? () => limit : limit
  return Effect.succeed<Gate.Gate>({
    allow: (candidate) => candidate.inFlight < Math.max(1, limitOf(candidate)),
    refusal: reject
      ? () => KratosError.serviceUnavailable("CONCURRENCY_LIMIT", "all nodes have as many calls as they may have at a time")
      : undefined
  })
}
