/**
 * Where the tokens of a client come from: signed here, or fetched from whoever issues them. A source is an effect that makes one; `cached`
 * keeps it and makes the next before it expires, one at a time however many calls want it. Tokens are `Redacted` all the way.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { CryptoKey } from "jose"
import { importPKCS8 } from "jose/key/import"
import { SignJWT } from "jose/jwt/sign"
import type * as Keys from "./Keys.ts"

export interface Token {
  readonly value: Redacted.Redacted<string>
  /** Milliseconds since the epoch; undefined: it lasts. */
  readonly expiresAt?: number | undefined
}

export interface CacheOptions {
  /** How long before its end a token is replaced. Default 30 seconds. */
  readonly refreshBefore?: Duration.Input | undefined
}

/** Keeps the token of a source. One that cannot be replaced in time is used to its end before a call fails. */
export const cached = <E, R>(source: Effect.Effect<Token, E, R>, options: CacheOptions = {}): Effect.Effect<Effect.Effect<Token, E, R>> =>
  Effect.map(Semaphore.make(1), (semaphore) => {
    const ahead = Duration.toMillis(Duration.fromInputUnsafe(options.refreshBefore ?? "30 seconds"))
    let held: Token | undefined
    const good = (margin: number): Effect.Effect<Token | undefined> =>
      Clock.clockWith((clock) => {
        const until = held?.expiresAt ?? Infinity
        return Effect.succeed(held !== undefined && clock.currentTimeMillisUnsafe() < until - margin ? held : undefined)
      })
    const renew = Effect.flatMap(good(ahead), (token) =>
      token !== undefined
        ? Effect.succeed(token)
        : Effect.tap(source, (token) =>
            Effect.sync(() => {
              held = token
            })
          ).pipe(
            Effect.catch((error) => Effect.flatMap(good(0), (token) => (token === undefined ? Effect.fail(error) : Effect.succeed(token))))
          )
    )
    return Effect.flatMap(good(ahead), (token) => (token === undefined ? semaphore.withPermit(renew) : Effect.succeed(token)))
  })

/** A token cannot be signed: the key does not fit the algorithm. */
export class SigningError extends Schema.TaggedError<SigningError>("@effect-kratos/contrib-jwt/SigningError")("SigningError", {
  cause: Schema.Defect()
}) {
  override readonly message = "Can not sign token.Is the key correct?"
}

export interface SignOptions {
  /** The secret of an HMAC, or a private key in PEM (PKCS #8). */
  readonly key:
    | { readonly algorithm: Keys.Symmetric; readonly secret: Redacted.Redacted<string | Uint8Array> }
    | { readonly algorithm: Keys.Asymmetric; readonly pem: Redacted.Redacted<string> }
  /** What the token says, beside `iat` and `exp`. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined
  /** How long it is good. Default 5 minutes. */
  readonly lifetime?: Duration.Input | undefined
  /** More fields of its header, `kid` for example. */
  readonly header?: Readonly<Record<string, string>> | undefined
}

/** Signs a token of its own for each that is asked for: put it into `cached`. */
export const signed = (options: SignOptions): Effect.Effect<Token, SigningError> => {
  const { claims = {}, header = {}, key, lifetime = "5 minutes" } = options
  const span = Duration.toSeconds(Duration.fromInputUnsafe(lifetime))
  return Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const seconds = Math.floor(now / 1000)
    const expires = seconds + Math.ceil(span)
    return Effect.tryPromise({
      try: async () =>
        new SignJWT({ ...claims })
          .setProtectedHeader({ typ: "JWT", ...header, alg: key.algorithm })
          .setIssuedAt(seconds)
          .setExpirationTime(expires)
          .sign(await keyOf(key)),
      catch: (cause) => new SigningError({ cause })
    }).pipe(Effect.map((value) => ({ value: Redacted.make(value), expiresAt: expires * 1000 })))
  })
}

const keyOf = async (key: SignOptions["key"]): Promise<CryptoKey | Uint8Array> => {
  if ("pem" in key) return importPKCS8(Redacted.value(key.pem), key.algorithm)
  const secret = Redacted.value(key.secret)
  return typeof secret === "string" ? new TextEncoder().encode(secret) : secret
}
