/**
 * A limit on a rate: a bucket that holds `burst` tokens, is refilled at `rate` tokens a second, and gives a call as many as it costs. In any
 * span of `t` seconds at most `rate · t + burst` tokens are given. `makeKeyed` keeps a bucket a key: a caller, a tenant, an operation.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as LruMap from "./LruMap.ts"

export interface Options {
  /** Tokens a second. */
  readonly rate: number
  /** How many tokens the bucket holds; it begins full. One second's worth unless given, at least 1. */
  readonly burst?: number | undefined
}

export interface TokenBucket {
  /** The most that a single call can take. */
  readonly burst: number
  /** Takes `cost` tokens (1 unless given) and returns 0, or takes nothing and returns in how many milliseconds there will be enough: `Infinity` for more than `burst`. */
  readonly tryTake: (now: number, cost?: number) => number
  /** How many tokens there are. */
  readonly remaining: (now: number) => number
}

export interface KeyedOptions extends Options {
  /** How many keys are kept, so that callers who make up keys cannot fill the memory. One that has to go starts anew, with a full bucket, when it comes back: choose more than are active at a time. 65,536. */
  readonly capacity?: number | undefined
  /** How long an idle key is kept, if capacity allows. It is never forgotten before its bucket is full again. 1 minute. */
  readonly idle?: Duration.Input | undefined
}

export interface KeyedTokenBucket {
  readonly burst: number
  readonly tryTake: (key: string, now: number, cost?: number) => number
  readonly remaining: (key: string, now: number) => number
  /** How many keys are kept. */
  readonly size: () => number
}

/** A call that has to wait. */
export class RateLimited extends Schema.TaggedError<RateLimited>("@effect-kratos/aegis/RateLimited")("RateLimited", {
  /** In how many milliseconds it may come again; Infinity: never, since it costs more than a bucket holds. */
  retryAfter: Schema.Number
}) {
  override readonly message = "the rate limit is exceeded"
}

export const make = (options: Options): TokenBucket => {
  const { burst, rate } = limits(options)
  return new Bucket(rate / 1000, burst)
}

export const makeKeyed = (options: KeyedOptions): KeyedTokenBucket => new Keyed(options)

/** Takes tokens or fails. */
export const take = (self: TokenBucket, cost?: number): Effect.Effect<void, RateLimited> =>
  Clock.clockWith((clock) => outcome(self.tryTake(clock.currentTimeMillisUnsafe(), cost)))

/** Takes tokens of a key's bucket or fails. */
export const takeKeyed = (self: KeyedTokenBucket, key: string, cost?: number): Effect.Effect<void, RateLimited> =>
  Clock.clockWith((clock) => outcome(self.tryTake(key, clock.currentTimeMillisUnsafe(), cost)))

const outcome = (retryAfter: number): Effect.Effect<void, RateLimited> =>
  retryAfter === 0 ? Effect.void : Effect.fail(new RateLimited({ retryAfter }))

const limits = ({ burst, rate }: Options) => {
  const perSecond = Math.max(0, rate) || 0
  return { rate: perSecond, burst: Math.max(1, burst ?? perSecond) || 1 }
}

class Bucket implements TokenBucket {
  readonly burst: number
  private readonly perMillis: number
  private tokens: number
  /** When `tokens` was right; NaN before the first call. */
  private at = Number.NaN

  constructor(perMillis: number, burst: number) {
    this.perMillis = perMillis
    this.burst = burst
    this.tokens = burst
  }

  tryTake(now: number, cost = 1): number {
    const tokens = this.remaining(now)
    // a negative cost would be a gift
    const price = Math.max(0, cost)
    if (tokens >= price) {
      this.tokens = tokens - price
      return 0
    }
    return price > this.burst ? Number.POSITIVE_INFINITY : (price - tokens) / this.perMillis
  }

  remaining(now: number): number {
    const elapsed = now - this.at
    // a clock that was set back gives nothing for the time it lives through again
    if (elapsed > 0) this.tokens = Math.min(this.burst, this.tokens + elapsed * this.perMillis)
    if (elapsed !== 0) this.at = now
    return this.tokens
  }

  /** When it was last looked at. */
  lastUsed(): number {
    return this.at
  }
}

class Keyed implements KeyedTokenBucket {
  readonly burst: number
  private readonly perMillis: number
  private readonly idleMillis: number
  private readonly buckets: LruMap.LruMap<string, Bucket>

  constructor(options: KeyedOptions) {
    const { capacity = 65_536, idle = "1 minute" } = options
    const { burst, rate } = limits(options)
    this.burst = burst
    this.perMillis = rate / 1000
    this.idleMillis = Math.max(Duration.toMillis(idle), burst / this.perMillis)
    this.buckets = LruMap.make(capacity)
  }

  tryTake(key: string, now: number, cost?: number): number {
    let bucket = this.buckets.get(key)
    if (bucket === undefined) {
      // two go for each that comes, so what is idle goes sooner or later, and no call pays for all of it
      this.expireOldest(now)
      this.expireOldest(now)
      bucket = new Bucket(this.perMillis, this.burst)
      this.buckets.set(key, bucket)
    }
    return bucket.tryTake(now, cost)
  }

  remaining(key: string, now: number): number {
    return this.buckets.peek(key)?.remaining(now) ?? this.burst
  }

  size(): number {
    return this.buckets.size()
  }

  private expireOldest(now: number): void {
    const key = this.buckets.oldest()
    if (key === undefined) return
    const bucket = this.buckets.peek(key)
    if (bucket !== undefined && now - bucket.lastUsed() > this.idleMillis) this.buckets.delete(key)
  }
}
