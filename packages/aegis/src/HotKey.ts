/**
 * Finds hot keys and keeps their values in the process, so that the shard that owns such a key does not melt. Which keys are hot says a
 * HeavyKeeper; the cache is bounded (least recently used goes) and its entries live shortly. Rules say which keys are always cached, and which
 * never. Call `fade` from time to time, once a minute say, so that what was hot once cools down.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as HeavyKeeper from "./HeavyKeeper.ts"
import * as LruMap from "./LruMap.ts"

/** Keys that a rule is for. */
export interface Rule {
  /** Whether `value` is the key itself, or a regular expression that the key contains a match of. It is your own: mind that some take exponential time. */
  readonly mode: "key" | "pattern"
  readonly value: string
  /** How long a value is kept. That of the options unless given. */
  readonly ttl?: Duration.Input | undefined
}

export interface Options {
  /** How many keys may be hot at a time; 0 looks for none, and only `always` is cached. 100. */
  readonly hotKeys?: number | undefined
  /** How many values the cache holds. 100. */
  readonly cacheSize?: number | undefined
  /** Whether the values of hot keys are cached. True. */
  readonly autoCache?: boolean | undefined
  /** How long a value is kept. 100 ms. */
  readonly ttl?: Duration.Input | undefined
  /** A key that was counted less often is not hot. 0. */
  readonly minimumCount?: number | undefined
  /** Keys that are cached whether they are hot or not. */
  readonly always?: ReadonlyArray<Rule> | undefined
  /** Keys that are not cached for being hot. */
  readonly never?: ReadonlyArray<Rule> | undefined
}

/** A pattern that is no regular expression. */
export class InvalidRule extends Schema.TaggedError<InvalidRule>("@effect-kratos/aegis/InvalidRule")("InvalidRule", {
  value: Schema.String,
  message: Schema.String
}) {}

export interface HotKey<V> {
  /** Counts a key and says whether it is hot. */
  readonly add: (key: string, increment?: number) => boolean
  /** Counts a key, says whether it is hot, and caches its value if it is, or if a rule says so. */
  readonly addValue: (now: number, key: string, value: V, increment?: number) => boolean
  /** A value that is cached and not too old. */
  readonly get: (now: number, key: string) => V | undefined
  /** Drops a value, as after a write. */
  readonly delete: (key: string) => void
  readonly fade: () => void
  /** The hot keys, most frequent first. */
  readonly list: () => ReadonlyArray<HeavyKeeper.Item>
}

export const make = <V>(options: Options = {}): Effect.Effect<HotKey<V>, InvalidRule> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const ttl = Duration.toMillis(options.ttl ?? "100 millis")
    const always = yield* compile(options.always ?? [], ttl)
    const never = yield* compile(options.never ?? [], ttl)
    return new Detector<V>(options, ttl, always, never, Context.get(context, Random.Random))
  })

/** The value of a key: from the cache, or from `lookup`, which is then counted and perhaps cached. Reads of the cache count as well. */
export const through =
  <V>(self: HotKey<V>) =>
  <E, R>(key: string, lookup: Effect.Effect<V, E, R>): Effect.Effect<V, E, R> =>
    Clock.clockWith((clock): Effect.Effect<V, E, R> => {
      const cached = self.get(clock.currentTimeMillisUnsafe(), key)
      if (cached === undefined) {
        return Effect.tap(lookup, (value) => Effect.sync(() => self.addValue(clock.currentTimeMillisUnsafe(), key, value)))
      }
      self.add(key)
      return Effect.succeed(cached)
    })

interface Compiled {
  readonly matches: (key: string) => boolean
  readonly ttl: number
}

const compile = (rules: ReadonlyArray<Rule>, ttl: number): Effect.Effect<ReadonlyArray<Compiled>, InvalidRule> =>
  Effect.forEach(rules, (rule): Effect.Effect<Compiled, InvalidRule> => {
    const millis = rule.ttl === undefined ? ttl : Duration.toMillis(rule.ttl)
    if (rule.mode === "key") return Effect.succeed({ matches: (key) => key === rule.value, ttl: millis })
    return Effect.try({
      try: () => new RegExp(rule.value),
      catch: (cause) => new InvalidRule({ value: rule.value, message: String(cause) })
    }).pipe(Effect.map((pattern) => ({ matches: (key: string) => pattern.test(key), ttl: millis })))
  })

interface Entry<V> {
  readonly value: V
  readonly until: number
}

class Detector<V> implements HotKey<V> {
  private readonly top: HeavyKeeper.HeavyKeeper | undefined
  private readonly cache: LruMap.LruMap<string, Entry<V>>
  private readonly autoCache: boolean
  private readonly ttl: number
  private readonly always: ReadonlyArray<Compiled>
  private readonly never: ReadonlyArray<Compiled>

  constructor(options: Options, ttl: number, always: ReadonlyArray<Compiled>, never: ReadonlyArray<Compiled>, random: Random.Random) {
    const { autoCache = true, cacheSize = 100, hotKeys = 100, minimumCount } = options
    this.cache = LruMap.make(cacheSize)
    this.top =
      hotKeys > 0
        ? HeavyKeeper.makeUnsafe({ k: hotKeys, minimumCount, onExpelled: (key) => void this.cache.delete(key) }, random)
        : undefined
    this.autoCache = autoCache
    this.ttl = ttl
    this.always = always
    this.never = never
  }

  add(key: string, increment?: number): boolean {
    return this.top !== undefined && this.top.add(key, increment)
  }

  addValue(now: number, key: string, value: V, increment?: number): boolean {
    const isHot = this.add(key, increment)
    const rule = this.always.find(({ matches }) => matches(key))
    if (rule !== undefined) this.cache.set(key, { value, until: now + rule.ttl })
    else if (isHot && this.autoCache && !this.never.some(({ matches }) => matches(key))) {
      this.cache.set(key, { value, until: now + this.ttl })
    }
    return isHot
  }

  get(now: number, key: string): V | undefined {
    const entry = this.cache.get(key)
    if (entry === undefined) return undefined
    if (now < entry.until) return entry.value
    this.cache.delete(key)
    return undefined
  }

  delete(key: string): void {
    this.cache.delete(key)
  }

  fade(): void {
    this.top?.fade()
  }

  list(): ReadonlyArray<HeavyKeeper.Item> {
    return this.top === undefined ? [] : this.top.list()
  }
}
