/**
 * The keys with which tokens are verified, and which algorithms go with them. A token whose header names another algorithm is refused before
 * a key is looked at, `none` first of all, and a public key never serves as the secret of an HMAC: the two are apart in the types here, and
 * in what each set of keys allows.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { CryptoKey } from "jose"
import { createLocalJWKSet } from "jose/jwks/local"
import { importSPKI } from "jose/key/import"

/** HMAC: whoever can verify can sign. */
export type Symmetric = "HS256" | "HS384" | "HS512"

/** Signatures: who verifies has the public key only. */
export type Asymmetric = "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "ES256" | "ES384" | "ES512" | "EdDSA" | "Ed25519"

export type Algorithm = Symmetric | Asymmetric

/** What the header of a token says of its key. */
export interface Header {
  readonly alg: string
  readonly kid?: string | undefined
}

/** No key fits the token: it is not valid. */
export class UnknownKey extends Schema.TaggedError<UnknownKey>("@effect-kratos/contrib-jwt/UnknownKey")("UnknownKey", {}) {}

/** The keys cannot be had at the moment, so that nothing can be said of the token. */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>("@effect-kratos/contrib-jwt/KeysUnavailable")("KeysUnavailable", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/** Something that should be keys is not. */
export class BadKeys extends Schema.TaggedError<BadKeys>("@effect-kratos/contrib-jwt/BadKeys")("BadKeys", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

export interface Keys {
  /** What a token may be signed with. */
  readonly algorithms: ReadonlyArray<Algorithm>
  readonly find: (header: Header) => Effect.Effect<CryptoKey | Uint8Array, UnknownKey | KeysUnavailable>
}

/** What a JSON Web Key Set is made of (RFC 7517). */
export interface KeySet {
  readonly keys: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** The algorithms of public keys, where none are named. Each key is good for its own kind only. */
export const asymmetric: ReadonlyArray<Asymmetric> = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
]

/** One shared secret. Default HS256, as in Kratos. RFC 7518 wants at least as many bytes as the hash has (32); an empty one verifies nothing. */
export const hmac = (secret: Redacted.Redacted<string | Uint8Array>, algorithm: Symmetric = "HS256"): Keys => {
  const value = Redacted.value(secret)
  const key = typeof value === "string" ? new TextEncoder().encode(value) : value
  const found = key.length === 0 ? Effect.fail(new UnknownKey()) : Effect.succeed(key)
  return { algorithms: [algorithm], find: () => found }
}

/** One public key in PEM (SPKI). */
export const pem = (text: string, algorithm: Asymmetric): Effect.Effect<Keys, BadKeys> =>
  Effect.tryPromise({
    try: () => importSPKI(text, algorithm),
    catch: (cause) => new BadKeys({ message: `not a public key for ${algorithm} in PEM`, cause })
  }).pipe(Effect.map((key) => ({ algorithms: [algorithm], find: () => Effect.succeed(key) })))

/** A fixed set of public keys. Those of other kinds in it are never used. */
export const jwks = (set: unknown, algorithms: ReadonlyArray<Asymmetric> = asymmetric): Effect.Effect<Keys, BadKeys> =>
  Effect.map(finder(set), (find) => ({ algorithms, find }))

/** Looks for the key of a header in a set. */
export const finder = (set: unknown): Effect.Effect<Keys["find"], BadKeys> =>
  Effect.try({
    // it is checked there
    try: () => createLocalJWKSet(set as Parameters<typeof createLocalJWKSet>[0]),
    catch: (cause) => new BadKeys({ message: "not a JSON Web Key Set", cause })
  }).pipe(
    Effect.map(
      (find): Keys["find"] =>
        (header) =>
          Effect.tryPromise({
            try: () => find(header.kid === undefined ? { alg: header.alg } : { alg: header.alg, kid: header.kid }),
            // none or several, or one that is broken: no key
            catch: () => new UnknownKey()
          })
    )
  )
