import { ConnectionError } from "../ConnectionError.ts"
import { ErrorCode } from "../ErrorCode.ts"
import type { Limits } from "../Limits.ts"

/** What a client leaves between pings when it has nothing to say, in milliseconds. */
const WITHOUT_STREAMS = 7_200_000

/**
 * Holds clients to a decent pace of pings, as servers of gRPC do (proposal A8). Pings that measure the bandwidth come while we send, and are excused.
 */
export class PingStrikes {
  private strikes = 0
  private lastAt = Number.NEGATIVE_INFINITY
  private readonly limits: Limits
  private readonly now: () => number

  constructor(limits: Limits, now: () => number) {
    this.limits = limits
    this.now = now
  }

  /** A ping. `excused`: we have sent something of a stream since the last one. Throws a `ConnectionError` when there were too many. */
  add(excused: boolean, openStreams: number): void {
    const { maxPingStrikes, minPingInterval, pingsWithoutStreams } = this.limits
    if (minPingInterval === 0) return
    const now = this.now()
    const since = now - this.lastAt
    this.lastAt = now
    if (excused) {
      this.strikes = 0
      return
    }
    if (since >= (openStreams > 0 || pingsWithoutStreams ? minPingInterval : WITHOUT_STREAMS)) return
    if (++this.strikes > maxPingStrikes) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
  }
}
