import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as Tokens from "../src/Tokens.ts"

/** Makes numbered tokens that last a minute; `delay` is what that takes. */
const source = () => {
  const state = { made: 0, delay: 0, broken: false }
  const make = Effect.gen(function* () {
    if (state.delay > 0) yield* Effect.sleep(state.delay)
    if (state.broken) return yield* Effect.fail("broken" as const)
    const value = Redacted.make(`token ${++state.made}`)
    return { value, expiresAt: (yield* Clock.currentTimeMillis) + 60_000 }
  })
  return { state, make }
}

describe("Tokens", () => {
  it.effect("keeps a token, replaces it before it expires, once for all that want it", () =>
    Effect.gen(function* () {
      const { make, state } = source()
      state.delay = 1000
      const cached = yield* Tokens.cached(make, { refreshBefore: "10 seconds" })
      const value = Effect.map(cached, (token) => Redacted.value(token.value))
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(value, { startImmediately: true }))
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) assert.strictEqual(yield* Fiber.join(fiber), "token 1")
      state.delay = 0
      yield* TestClock.adjust("49 seconds")
      assert.strictEqual(yield* value, "token 1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* value, "token 2")
    })
  )

  it.effect("uses a token to its end when there is no new one, and fails then", () =>
    Effect.gen(function* () {
      const { make, state } = source()
      const cached = yield* Tokens.cached(make, { refreshBefore: "10 seconds" })
      const value = Effect.map(cached, (token) => Redacted.value(token.value))
      assert.strictEqual(yield* value, "token 1")
      state.broken = true
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* value, "token 1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.flip(value), "broken")
    })
  )

  it.effect("shows no token to whoever prints it, and says when a key does not fit", () =>
    Effect.gen(function* () {
      const secret = Redacted.make("a secret of more than thirty-two bytes")
      const token = yield* Tokens.signed({ key: { algorithm: "HS256", secret } })
      assert.notInclude(JSON.stringify(token) + String(token.value), Redacted.value(token.value))
      const error = yield* Effect.flip(Tokens.signed({ key: { algorithm: "ES256", pem: Redacted.make("no key") } }))
      assert.strictEqual(error.message, "Can not sign token.Is the key correct?")
    })
  )
})
