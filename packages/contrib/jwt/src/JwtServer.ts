/**
 * Verifies the JSON Web Token of a call and provides its claims to the handler. Reasons, codes and messages are Kratos': 401
 * `UNAUTHORIZED`, with a message that says what is wrong. Where the keys cannot be had it is 503 `KEYS_UNAVAILABLE`: the caller is not at
 * fault and may try again.
 *
 * The algorithm is one that the keys allow, not one that the token names; `none` is none of them. What a token says is believed only when
 * the schema of the claims accepts it.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Auth from "@effect-kratos/core/aspect/Auth"
import type { CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeProtectedHeader } from "jose/decode/protected_header"
import { JWTClaimValidationFailed, JWTExpired } from "jose/errors"
import { jwtVerify } from "jose/jwt/verify"
import type * as Keys from "./Keys.ts"

export interface Options<Claims, Encoded = unknown, R = never> {
  readonly keys: Keys.Keys
  /** What the claims must be; what it has no place for is dropped. */
  readonly claims: Schema.Codec<Claims, Encoded, R>
  /** Who must have issued the token; one of several. Default: anybody who has the key. */
  readonly issuer?: string | ReadonlyArray<string> | undefined
  /** For whom it must be; one of several. Default: not asked, so that a token for another service of the issuer is good here too. */
  readonly audience?: string | ReadonlyArray<string> | undefined
  /** How far clocks may be apart. Default 5 seconds. */
  readonly clockTolerance?: Duration.Input | undefined
  /** Refuses tokens that never expire. Default true. */
  readonly requireExpiry?: boolean | undefined
  /** Longest token, in characters; a longer one is not looked at. Default 8192. */
  readonly maxTokenLength?: number | undefined
  /** Where the token is. Default: the `Bearer` of `Authorization`. */
  readonly token?: ((call: CallShape) => string | undefined) | undefined
}

/** The reason of a call that cannot be verified because the keys cannot be had; code 503. */
export const unavailable = "KEYS_UNAVAILABLE"

/** Verifies calls: for `Auth.make`, or for whoever wants the claims elsewhere. */
export const verify = <Claims, Encoded, R>(options: Options<Claims, Encoded, R>): Auth.Verify<Claims, KratosError.KratosError, R> => {
  const { keys, maxTokenLength = 8192, requireExpiry = true, token: tokenOf = Auth.bearer } = options
  const algorithms = [...keys.algorithms]
  const allowed = new Set<string>(algorithms)
  const decode = Schema.decodeUnknownEffect(options.claims)
  const fixed = {
    algorithms,
    clockTolerance: Math.ceil(Duration.toSeconds(Duration.fromInputUnsafe(options.clockTolerance ?? "5 seconds"))),
    ...(options.issuer === undefined ? undefined : { issuer: listOf(options.issuer) }),
    ...(options.audience === undefined ? undefined : { audience: listOf(options.audience) }),
    ...(requireExpiry ? { requiredClaims: ["exp"] } : undefined)
  }
  return (call) =>
    Effect.gen(function* () {
      const token = tokenOf(call)
      if (token === undefined) return yield* unauthorized("JWT token is missing")
      if (token.length > maxTokenLength) return yield* unauthorized("Token is invalid")
      const header = headerOf(token)
      if (header === undefined) return yield* unauthorized("Token is invalid")
      if (!allowed.has(header.alg)) return yield* unauthorized("Wrong signing method")
      const key = yield* keys.find(header).pipe(
        Effect.catchTags({
          UnknownKey: () => Effect.fail(unauthorized("Token is invalid")),
          KeysUnavailable: (cause) =>
            Effect.fail(KratosError.serviceUnavailable(unavailable, "the keys to verify tokens with cannot be had", { cause }))
        })
      )
      const now = DateTime.toDate(yield* DateTime.now)
      const { payload } = yield* Effect.tryPromise({
        try: () => jwtVerify(token, key, { ...fixed, currentDate: now }),
        catch: (error) => unauthorized(messageOf(error))
      })
      return yield* Effect.mapError(decode(payload), () => unauthorized("Token is invalid"))
    })
}

/** An aspect that provides the claims of each call as `tag`. */
export const make = <Self, Claims, Encoded, R>(
  tag: Context.Service<Self, Claims>,
  options: Options<Claims, Encoded, R>
): Aspect.Provider<Self, KratosError.KratosError, R> => Auth.make(tag, verify(options))

// what is wrong with a token goes to its sender; neither the token nor what a library says of it does
const unauthorized = (message: string): KratosError.KratosError => KratosError.unauthorized(Auth.reason, message)

const listOf = (value: string | ReadonlyArray<string>): Array<string> => (typeof value === "string" ? [value] : [...value])

const headerOf = (token: string): Keys.Header | undefined => {
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    return typeof alg === "string" ? { alg, kid: typeof kid === "string" ? kid : undefined } : undefined
  } catch {
    return undefined
  }
}

/** Kratos' words. */
const messageOf = (error: unknown): string =>
  error instanceof JWTExpired || (error instanceof JWTClaimValidationFailed && error.claim === "nbf" && error.reason === "check_failed")
    ? "JWT token has expired"
    : "Token is invalid"
