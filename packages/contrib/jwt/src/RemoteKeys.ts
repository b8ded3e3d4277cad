/**
 * Public keys of an issuer, read from its JWKS URL and kept. A token with a key that is not among them makes them be read again, because
 * issuers rotate their keys, but at most once in a `cooldown`: strangers send tokens with any key they like. While the issuer cannot be
 * reached the keys that are there go on serving, up to `staleFor`.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Keys from "./Keys.ts"

export interface Options {
  /** Where the set is, `https://issuer/.well-known/jwks.json`. */
  readonly url: string
  /** Default: all of public keys. */
  readonly algorithms?: ReadonlyArray<Keys.Asymmetric> | undefined
  /** How long a set serves before it is read again. Default 10 minutes. */
  readonly cacheFor?: Duration.Input | undefined
  /** How long it serves beyond that while the issuer cannot be reached. Default 1 hour. */
  readonly staleFor?: Duration.Input | undefined
  /** The least time between two readings, failed ones included. Default 30 seconds. */
  readonly cooldown?: Duration.Input | undefined
  /** The longest that reading may take. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Largest set, in bytes. Default 256 KiB. */
  readonly maxBytes?: number | undefined
}

interface Held {
  readonly find: Keys.Keys["find"]
  readonly at: number
}

/** Nothing is read before the first token comes. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Keys.Keys, never, HttpClient.HttpClient | Scope.Scope> {
  const { algorithms = Keys.asymmetric, maxBytes = 262_144, timeout = "5 seconds", url } = options
  const cacheFor = millis(options.cacheFor ?? "10 minutes")
  const staleFor = millis(options.staleFor ?? "1 hour")
  const cooldown = millis(options.cooldown ?? "30 seconds")
  const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
  const scope = yield* Effect.scope

  let held: Held | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let reading: Deferred.Deferred<void, Keys.KeysUnavailable> | undefined
  let failure = new Keys.KeysUnavailable({ message: `the keys of ${url} have not been read` })

  const read = client.get(url).pipe(
    Effect.flatMap((response) => collect(response.stream, maxBytes)),
    Effect.flatMap((text) =>
      Effect.try({ try: (): unknown => JSON.parse(text), catch: (cause) => new Keys.BadKeys({ message: "not JSON", cause }) })
    ),
    Effect.flatMap(Keys.finder),
    Effect.timeout(timeout),
    Effect.mapError((cause) => new Keys.KeysUnavailable({ message: `the keys of ${url} cannot be read`, cause }))
  )

  /** One reading at a time, whoever asks; nobody who gives up takes it away from the others. */
  const refresh = (now: number): Effect.Effect<void, Keys.KeysUnavailable> => {
    if (reading !== undefined) return Deferred.await(reading)
    if (now - readAt < cooldown) return Effect.fail(failure)
    const deferred = Deferred.makeUnsafe<void, Keys.KeysUnavailable>()
    reading = deferred
    readAt = now
    const whole = Effect.onExit(read, (exit) =>
      Effect.suspend(() => {
        reading = undefined
        if (Exit.isSuccess(exit)) {
          held = { find: exit.value, at: now }
          return Deferred.succeed(deferred, undefined)
        }
        const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
        failure = error ?? new Keys.KeysUnavailable({ message: `reading the keys of ${url} was interrupted` })
        return Deferred.fail(deferred, failure)
      })
    )
    return Effect.andThen(Effect.forkIn(Effect.ignore(whole), scope), Deferred.await(deferred))
  }

  const find: Keys.Keys["find"] = (header) =>
    Clock.clockWith((clock) => {
      const now = clock.currentTimeMillisUnsafe()
      const fresh = held !== undefined && now - held.at < cacheFor
      if (fresh) {
        return Effect.catchTag(held!.find(header), "UnknownKey", (unknown) =>
          // rotated, perhaps
          refresh(now).pipe(
            Effect.mapError(() => unknown),
            Effect.andThen(Effect.suspend(() => held!.find(header)))
          )
        )
      }
      return refresh(now).pipe(
        Effect.catch((error) => (held !== undefined && now - held.at < cacheFor + staleFor ? Effect.void : Effect.fail(error))),
        Effect.andThen(Effect.suspend(() => held!.find(header)))
      )
    })
  return { algorithms, find }
})

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

class TooLarge extends Error {
  override readonly message = "the key set is too large"
}

const collect = <E>(stream: Stream.Stream<Uint8Array, E>, most: number): Effect.Effect<string, E | TooLarge> =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    let text = ""
    let size = 0
    return stream.pipe(
      Stream.runForEach((chunk) => {
        size += chunk.length
        if (size > most) return Effect.fail(new TooLarge())
        text += decoder.decode(chunk, { stream: true })
        return Effect.void
      }),
      Effect.map(() => text + decoder.decode())
    )
  })
