/**
 * How many retries a client may add to its calls, so that retries do not multiply the load of a backend in trouble: a share of the calls
 * of the last seconds, and a few a second for clients that make few. The idea and the defaults (20 % and 10 a second) are those of
 * Finagle's and Linkerd's retry budgets; here the few are given one by one, not in advance for the whole window. In any span of `t`
 * seconds there are at most
 *
 *     ratio · (calls of that span and of the window before it) + perSecond · t + perSecond
 *
 * retries. Share one budget among the calls to one service.
 */
import type * as Duration from "effect/Duration"
import * as RollingWindow from "./RollingWindow.ts"
import * as TokenBucket from "./TokenBucket.ts"

export interface Options {
  /** Retries for each call. 0.2. */
  readonly ratio?: number | undefined
  /** Retries a second whatever the number of calls. 10. */
  readonly perSecond?: number | undefined
  /** For how long a call counts. 10 seconds. */
  readonly window?: Duration.Input | undefined
}

export interface RetryBudget {
  /** Counts a call; its retries are not calls. */
  readonly call: (now: number) => void
  /** Takes a retry out of the budget, if there is one. */
  readonly tryRetry: (now: number) => boolean
  /** How many retries are left. */
  readonly remaining: (now: number) => number
}

export const make = (options: Options = {}): RetryBudget => new Budget(options)

class Budget implements RetryBudget {
  private readonly ratio: number
  private readonly hasReserve: boolean
  /** Counts calls, sums up the retries that they paid for. */
  private readonly history: RollingWindow.RollingWindow
  private readonly reserve: TokenBucket.TokenBucket

  constructor(options: Options) {
    const { perSecond = 10, ratio = 0.2, window = "10 seconds" } = options
    this.ratio = Math.max(0, ratio)
    this.hasReserve = perSecond > 0
    this.history = RollingWindow.make({ window, buckets: 10 })
    this.reserve = TokenBucket.make({ rate: perSecond })
  }

  call(now: number): void {
    this.history.add(now, 0, 1)
  }

  tryRetry(now: number): boolean {
    if (this.paid(now) >= 1) {
      this.history.add(now, 1, 0)
      return true
    }
    return this.hasReserve && this.reserve.tryTake(now) === 0
  }

  remaining(now: number): number {
    return Math.floor(Math.max(0, this.paid(now))) + (this.hasReserve ? Math.floor(this.reserve.remaining(now)) : 0)
  }

  /** What calls have paid for and retries have not used. Multiples of a ratio such as 0.2 may miss a whole number by a rounding error. */
  private paid(now: number): number {
    return this.history.count(now) * this.ratio - this.history.sum(now) + 1e-9
  }
}
