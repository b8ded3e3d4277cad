import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { TestClock } from "effect/testing"
import { exportJWK } from "jose/key/export"
import { generateKeyPair } from "jose/key/generate/keypair"
import * as RemoteKeys from "../src/RemoteKeys.ts"

const publicKey = (kid: string) =>
  Effect.promise(async () => {
    const { publicKey } = await generateKeyPair("ES256", { extractable: true })
    return { ...(await exportJWK(publicKey)), kid, alg: "ES256" }
  })

/** An issuer that counts how often it is asked. */
const issuer = () => {
  const state = { body: JSON.stringify({ keys: [] }), status: 200, asked: 0, delay: 0 }
  const client = HttpClient.make((request) =>
    Effect.gen(function* () {
      state.asked++
      if (state.delay > 0) yield* Effect.sleep(state.delay)
      return HttpClientResponse.fromWeb(request, new Response(state.body, { status: state.status }))
    })
  )
  return { state, client }
}

const make = (client: HttpClient.HttpClient, options: Partial<RemoteKeys.Options> = {}) =>
  Effect.provideService(RemoteKeys.make({ url: "https://issuer.test/jwks", ...options }), HttpClient.HttpClient, client)

const found = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string =>
  Exit.isSuccess(exit) ? "found" : exit.cause.reasons.map((reason) => (reason._tag === "Fail" ? reason.error._tag : reason._tag)).join()

describe("RemoteKeys", () => {
  it.effect("reads once for many, keeps what it read, and reads again when a key is new, but not too often", () =>
    Effect.gen(function* () {
      const { client, state } = issuer()
      const [a, b] = [yield* publicKey("a"), yield* publicKey("b")]
      state.body = JSON.stringify({ keys: [a] })
      state.delay = 100
      const keys = yield* make(client)
      const find = (kid: string) => Effect.map(Effect.exit(keys.find({ alg: "ES256", kid })), found)
      assert.strictEqual(state.asked, 0, "nothing is read before it is needed")
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(find("a"), { startImmediately: true }))
      // one that gives up takes nothing from the others
      yield* Fiber.interrupt(fibers[0]!)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual([yield* Fiber.join(fibers[1]!), yield* Fiber.join(fibers[2]!), state.asked], ["found", "found", 1])
      state.delay = 0
      state.body = JSON.stringify({ keys: [a, b] })
      assert.strictEqual(yield* find("b"), "UnknownKey", "strangers cannot make it ask all the time")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual([yield* find("b"), yield* find("a"), state.asked], ["found", "found", 2])
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* find(`unknown ${i}`), "UnknownKey")
      assert.strictEqual(state.asked, 2)
      yield* TestClock.adjust("10 minutes")
      state.body = JSON.stringify({ keys: [b] })
      assert.deepStrictEqual([yield* find("a"), state.asked], ["UnknownKey", 3], "a key that is withdrawn is good no longer")
    })
  )

  it.effect("serves with the keys it has while the issuer is away, for a time", () =>
    Effect.gen(function* () {
      const { client, state } = issuer()
      state.body = JSON.stringify({ keys: [yield* publicKey("a")] })
      const keys = yield* make(client, { cacheFor: "10 minutes", staleFor: "20 minutes" })
      const find = Effect.map(Effect.exit(keys.find({ alg: "ES256", kid: "a" })), found)
      assert.strictEqual(yield* find, "found")
      state.status = 500
      yield* TestClock.adjust("29 minutes")
      assert.deepStrictEqual([yield* find, yield* find, state.asked], ["found", "found", 2], "asked once in a cooldown")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* find, "KeysUnavailable")
      state.status = 200
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* find, "found")
    })
  )

  it.effect("has no keys of what is too slow, too large or no key set", () =>
    Effect.gen(function* () {
      const { client, state } = issuer()
      const keys = yield* make(client, { maxBytes: 1000, cooldown: "1 second" })
      const find = Effect.map(Effect.exit(keys.find({ alg: "ES256", kid: "a" })), found)
      for (const body of ["not JSON", "{}", JSON.stringify({ keys: [], filler: "x".repeat(1000) })]) {
        state.body = body
        assert.strictEqual(yield* find, "KeysUnavailable", body.slice(0, 20))
        yield* TestClock.adjust("1 second")
      }
      state.delay = 60_000
      const fiber = yield* Effect.forkChild(find, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "KeysUnavailable")
    })
  )
})
