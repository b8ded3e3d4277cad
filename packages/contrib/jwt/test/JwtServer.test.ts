import type { CallShape } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { exportJWK, exportPKCS8, exportSPKI } from "jose/key/export"
import { generateKeyPair } from "jose/key/generate/keypair"
import * as JwtServer from "../src/JwtServer.ts"
import * as Keys from "../src/Keys.ts"
import * as Tokens from "../src/Tokens.ts"

const Claims = Schema.Struct({
  sub: Schema.String,
  roles: Schema.Array(Schema.String).pipe(Schema.withDecodingDefaultKey(Effect.succeed([])))
})

const secret = Redacted.make("a secret of more than thirty-two bytes")

const callWith = (authorization: string | undefined): CallShape => ({
  side: "server",
  operation: "/user.v1.Users/Get",
  service: "user.v1.Users",
  method: "Get",
  kind: "unary",
  transport: "grpc",
  peer: "",
  endpoint: "",
  pathTemplate: undefined,
  request: authorization === undefined ? Metadata.make() : Metadata.fromRecord({ authorization }),
  reply: Metadata.make(),
  trailers: Metadata.make(),
  deadline: undefined,
  message: undefined
})

const sign = (options: Partial<Tokens.SignOptions> & { readonly claims?: Record<string, unknown> } = {}) =>
  Effect.map(Tokens.signed({ key: { algorithm: "HS256", secret }, ...options, claims: { sub: "ada", ...options.claims } }), ({ value }) =>
    Redacted.value(value)
  )

const server = (options: Partial<JwtServer.Options<typeof Claims.Type, unknown, never>> = {}) => {
  const verify = JwtServer.verify({ keys: Keys.hmac(secret), claims: Claims, ...options })
  return (token: string | undefined) => Effect.exit(verify(callWith(token === undefined ? undefined : `Bearer ${token}`)))
}

/** Code, reason and message of a refusal; the subject of who gets in. */
const outcome = (exit: Exit.Exit<typeof Claims.Type, KratosError.KratosError>): string => {
  if (Exit.isSuccess(exit)) return exit.value.sub
  const { code, message, reason } = KratosError.fromCause(exit.cause)
  return `${code} ${reason} ${message}`
}

const invalid = "401 UNAUTHORIZED Token is invalid"
const expired = "401 UNAUTHORIZED JWT token has expired"

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

describe("JwtServer", () => {
  it.effect("believes a token that is signed, and says Kratos' words of one that is not right", () =>
    Effect.gen(function* () {
      const verify = server()
      const token = yield* sign({ claims: { roles: ["admin"] } })
      const exit = yield* verify(token)
      assert.deepStrictEqual(Exit.isSuccess(exit) && exit.value, { sub: "ada", roles: ["admin"] })
      assert.strictEqual(outcome(yield* verify(undefined)), "401 UNAUTHORIZED JWT token is missing")
      const [head, body, signature] = token.split(".") as [string, string, string]
      const wrong = [
        "nonsense",
        "a.b.c",
        `${head}.${body}`,
        `${head}.${base64({ sub: "root", exp: 9e9 })}.${signature}`,
        `${head}.${body}.${signature.slice(0, -4)}AAAA`,
        `${head}.${body}.`,
        `${base64({ alg: "HS256", crit: ["x"], x: 1 })}.${body}.${signature}`,
        yield* sign({ key: { algorithm: "HS256", secret: Redacted.make("another secret of thirty-two bytes..") } }),
        yield* sign({ claims: { sub: 7 } })
      ]
      for (const each of wrong) assert.strictEqual(outcome(yield* verify(each)), invalid, each)
    })
  )

  it.effect("finds the token behind `Bearer` in any case, and nowhere else", () =>
    Effect.gen(function* () {
      const token = yield* sign()
      const verify = JwtServer.verify({ keys: Keys.hmac(secret), claims: Claims })
      const of = (header: string) => Effect.map(Effect.exit(verify(callWith(header))), outcome)
      for (const scheme of ["Bearer", "bearer", "BEARER"]) assert.strictEqual(yield* of(`${scheme} ${token}`), "ada")
      for (const header of [token, `Basic ${token}`, `Bearer`, "Bearer ", `Bearer${token}`])
        assert.strictEqual(yield* of(header), "401 UNAUTHORIZED JWT token is missing")
    })
  )

  it.effect("lets the token choose nothing: no `none`, no other algorithm, no public key as a secret", () =>
    Effect.gen(function* () {
      const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("RS256", { extractable: true }))
      const spki = yield* Effect.promise(() => exportSPKI(publicKey))
      const pkcs8 = Redacted.make(yield* Effect.promise(() => exportPKCS8(privateKey)))
      const rsa = server({ keys: yield* Keys.pem(spki, "RS256") })
      assert.strictEqual(outcome(yield* rsa(yield* sign({ key: { algorithm: "RS256", pem: pkcs8 } }))), "ada")
      const confused = yield* sign({ key: { algorithm: "HS256", secret: Redacted.make(spki) } })
      assert.strictEqual(outcome(yield* rsa(confused)), "401 UNAUTHORIZED Wrong signing method")
      const body = base64({ sub: "root", exp: 9e9 })
      for (const alg of ["none", "None", "HS512", "RS256", ""]) {
        const forged = `${base64({ alg, typ: "JWT" })}.${body}.`
        assert.strictEqual(outcome(yield* server()(forged)), "401 UNAUTHORIZED Wrong signing method", alg)
      }
      assert.strictEqual(
        outcome(yield* rsa(yield* sign({ key: { algorithm: "PS256", pem: pkcs8 } }))),
        "401 UNAUTHORIZED Wrong signing method"
      )
    })
  )

  it.effect("has no use for an empty secret", () =>
    Effect.gen(function* () {
      const empty = server({ keys: Keys.hmac(Redacted.make("")) })
      assert.strictEqual(outcome(yield* empty(yield* sign())), invalid)
    })
  )

  it.effect("goes by the clock, with some tolerance, and by issuer and audience", () =>
    Effect.gen(function* () {
      const token = yield* sign({ lifetime: "1 minute", claims: { iss: "https://issuer", aud: ["users", "orders"] } })
      const fussy = server({ issuer: "https://issuer", audience: ["orders", "stock"] })
      assert.strictEqual(outcome(yield* fussy(token)), "ada")
      assert.strictEqual(outcome(yield* server({ issuer: "https://other" })(token)), invalid)
      assert.strictEqual(outcome(yield* server({ audience: "stock" })(token)), invalid)
      assert.strictEqual(outcome(yield* fussy(yield* sign())), invalid, "it says neither")
      assert.strictEqual(outcome(yield* server()(yield* sign({ claims: { nbf: 60 } }))), expired)
      yield* TestClock.adjust("64 seconds")
      assert.strictEqual(outcome(yield* server()(token)), "ada")
      assert.strictEqual(outcome(yield* server({ clockTolerance: 0 })(token)), expired)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(outcome(yield* server()(token)), expired)
    })
  )

  it.effect("wants an end of every token, unless told otherwise, and none that is too long", () =>
    Effect.gen(function* () {
      const endless = yield* Effect.promise(async () => {
        const { SignJWT } = await import("jose/jwt/sign")
        return new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(Redacted.value(secret)))
      })
      assert.strictEqual(outcome(yield* server()(endless)), invalid)
      assert.strictEqual(outcome(yield* server({ requireExpiry: false })(endless)), "ada")
      const long = yield* sign({ claims: { filler: "x".repeat(8192) } })
      assert.strictEqual(outcome(yield* server()(long)), invalid)
      assert.strictEqual(outcome(yield* server({ maxTokenLength: 20_000 })(long)), "ada")
    })
  )

  it.effect("takes the key that a token names out of a fixed set, and only public ones", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.forEach(["one", "two"], (kid) =>
        Effect.promise(async () => {
          const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true })
          return { kid, pem: Redacted.make(await exportPKCS8(privateKey)), jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256" } }
        })
      )
      const oct = { kty: "oct", kid: "shared", k: Buffer.from(Redacted.value(secret)).toString("base64url") }
      const verify = server({ keys: yield* Keys.jwks({ keys: [...pairs.map(({ jwk }) => jwk), oct] }) })
      for (const { kid, pem } of pairs)
        assert.strictEqual(outcome(yield* verify(yield* sign({ key: { algorithm: "ES256", pem }, header: { kid } }))), "ada")
      const [one] = pairs
      assert.strictEqual(
        outcome(yield* verify(yield* sign({ key: { algorithm: "ES256", pem: one!.pem }, header: { kid: "two" } }))),
        invalid
      )
      assert.strictEqual(
        outcome(yield* verify(yield* sign({ key: { algorithm: "ES256", pem: one!.pem }, header: { kid: "three" } }))),
        invalid
      )
      assert.strictEqual(outcome(yield* verify(yield* sign({ header: { kid: "shared" } }))), "401 UNAUTHORIZED Wrong signing method")
      assert.strictEqual((yield* Effect.flip(Keys.jwks({ keys: "none" })))._tag, "BadKeys")
      assert.strictEqual((yield* Effect.flip(Keys.pem("none", "ES256")))._tag, "BadKeys")
    })
  )
})
