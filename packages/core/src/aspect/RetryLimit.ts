/**
 * What keeps the retries and hedges of a client from multiplying the load of a target in trouble: a budget in proportion to its calls, and gRPC's throttle
 * (gRFC A6) where a service config asks for it. Both are kept by target; give one limit to all clients that shall share it.
 */
import * as RetryBudget from "@effect-kratos/aegis/RetryBudget"

export interface Options {
  /** Default 20 % of the calls of the last 10 seconds, and 10 a second. False: none. */
  readonly budget?: RetryBudget.Options | false | undefined
  /** Default none. */
  readonly throttling?: Throttling | undefined
}

/** No retries while the tokens are at half of `maxTokens` or below: a failure takes one, a success gives `tokenRatio`. */
export interface Throttling {
  readonly maxTokens: number
  readonly tokenRatio: number
}

/** The limit of one target. Times are in milliseconds. */
export interface Bucket {
  /** A call, whatever the number of its attempts. */
  readonly call: (now: number) => void
  /** Takes one more attempt out, if there is one. */
  readonly tryRetry: (now: number) => boolean
  /** An attempt has failed in a way that could have been tried again, or that says not to. */
  readonly failed: () => void
  readonly succeeded: () => void
  /** Whether it wants to hear of successes. */
  readonly counts: boolean
}

export interface RetryLimit {
  /** Of a target, as calls name it. */
  readonly of: (target: string) => Bucket
}

/** Targets that are told apart; a client has one. Further ones share. */
const MAX_TARGETS = 10_000

export const make = (options: Options = {}): RetryLimit => {
  const buckets = new Map<string, Bucket>()
  return {
    of: (target) => {
      const key = buckets.size < MAX_TARGETS ? target : ""
      let bucket = buckets.get(key)
      if (bucket === undefined) buckets.set(key, (bucket = new Limited(options)))
      return bucket
    }
  }
}

class Limited implements Bucket {
  readonly counts: boolean
  private readonly budget: RetryBudget.RetryBudget | undefined
  private readonly throttling: Throttling | undefined
  private tokens: number

  constructor({ budget, throttling }: Options) {
    this.budget = budget === false ? undefined : RetryBudget.make(budget)
    this.throttling = throttling
    this.tokens = throttling?.maxTokens ?? 0
    this.counts = throttling !== undefined
  }

  call(now: number): void {
    this.budget?.call(now)
  }

  tryRetry(now: number): boolean {
    if (this.throttling !== undefined && this.tokens <= this.throttling.maxTokens / 2) return false
    return this.budget === undefined || this.budget.tryRetry(now)
  }

  failed(): void {
    this.tokens = Math.max(0, this.tokens - 1)
  }

  succeeded(): void {
    if (this.throttling !== undefined) this.tokens = Math.min(this.throttling.maxTokens, this.tokens + this.throttling.tokenRatio)
  }
}
