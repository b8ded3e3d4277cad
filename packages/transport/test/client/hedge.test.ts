/** The second attempt of a call that takes long: on every wire, for all four kinds; the first answer counts, and whoever loses is interrupted. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Hedge from "@effect-kratos/core/aspect/Hedge"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { makeReplies, until } from "../Harness.ts"
import { clientOf, kinds, passing, serve, wires } from "./LedgerRig.ts"

const down = KratosError.serviceUnavailable("DOWN", "not now")
const limit = RetryLimit.make({ budget: false })
const hedge = (options: Hedge.Options = {}) => Hedge.make({ limit, delay: "200 millis", maxAttempts: 3, ...options })

for (const { name, options } of wires) {
  describe(`hedges over ${name}`, () => {
    for (const kind of kinds) {
      it.effect(`${kind.method}: the first answer counts, the others are interrupted`, () =>
        Effect.gen(function* () {
          const at: Array<number> = []
          let interrupted = 0
          const server = yield* serve((n, call) =>
            Effect.gen(function* () {
              at.push(yield* Clock.currentTimeMillis)
              if (n < 2) return yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
              call.reply.set("x-served", [String(n)])
              return undefined
            })
          )
          const replies = makeReplies()
          const ledger = yield* clientOf(server, { ...options, aspects: Aspect.compose(replies.aspect, hedge()) })
          let ran = 0
          const texts = Stream.tap(Stream.make("a", "b"), () => Effect.sync(() => ran++))
          yield* passing(kind.call(ledger, texts))
          assert.strictEqual(ran, 2)
          assert.deepStrictEqual(
            server.executions.map(({ previous }) => previous),
            [undefined, "1", "2"]
          )
          const sent = kind.method === "Read" || kind.method === "List" ? ["a"] : ["a", "b"]
          for (const { texts } of server.executions) assert.deepStrictEqual(texts, sent)
          assert.isAtLeast(at[1]! - at[0]!, 150)
          assert.isAtLeast(at[2]! - at[1]!, 150)
          if (kind.method === "Read") assert.deepStrictEqual(replies.headers[0]!["x-served"], ["2"])
          yield* until(Effect.sync(() => interrupted === 2))
        })
      )

      it.effect(`${kind.method}: a failure that is not fatal brings the next one at once, a fatal one ends all`, () =>
        Effect.gen(function* () {
          const server = yield* serve((n) => Effect.succeed(n === 0 ? { after: 0, error: down } : undefined))
          const ledger = yield* clientOf(server, { ...options, aspects: hedge({ delay: "1 day" }) })
          const began = yield* Clock.currentTimeMillis
          yield* passing(kind.call(ledger, Stream.make("a")))
          assert.lengthOf(server.executions, 2)
          assert.isBelow((yield* Clock.currentTimeMillis) - began, 3_600_000)

          const fatal = yield* serve(() => Effect.succeed({ after: 0, error: KratosError.notFound("GONE", "no") }))
          const other = yield* clientOf(fatal, { ...options, aspects: hedge() })
          assert.strictEqual(KratosError.code(yield* Effect.flip(passing(kind.call(other, Stream.make("a"))))), 404)
          assert.lengthOf(fatal.executions, 1)
        })
      )

      it.effect(`${kind.other}: never`, () =>
        Effect.gen(function* () {
          const server = yield* serve(() => Effect.sleep("5 seconds"))
          const ledger = yield* clientOf(server, { ...options, aspects: hedge() })
          yield* passing(kind.callOther(ledger, Stream.make("a")))
          assert.lengthOf(server.executions, 1)
        })
      )
    }
  })
}

describe("Hedge", () => {
  it.effect("ends with the failure of the last, when all fail; as long as it may", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => Effect.succeed({ after: 0, error: down }))
      const ledger = yield* clientOf(server, { aspects: hedge() })
      assert.strictEqual(KratosError.reason(yield* Effect.flip(passing(ledger.read({ text: "a" })))), "DOWN")
      assert.lengthOf(server.executions, 3)
      const poor = yield* clientOf(server, { aspects: hedge({ limit: RetryLimit.make({ budget: { ratio: 0, perSecond: 0 } }) }) })
      yield* Effect.flip(passing(poor.read({ text: "a" })))
      assert.lengthOf(server.executions, 4)
    })
  )

  it.effect("waits as the server says, and stops when it says so", () =>
    Effect.gen(function* () {
      const at: Array<number> = []
      let say = "900"
      const server = yield* serve((_, call) =>
        Effect.gen(function* () {
          at.push(yield* Clock.currentTimeMillis)
          call.trailers.set("grpc-retry-pushback-ms", [say])
          return { after: 0, error: down }
        })
      )
      const ledger = yield* clientOf(server, { aspects: hedge() })
      yield* Effect.flip(passing(ledger.read({ text: "a" })))
      assert.lengthOf(at, 3)
      assert.isAtLeast(at[1]! - at[0]!, 900)
      say = "-1"
      yield* Effect.flip(passing(ledger.read({ text: "a" })))
      assert.lengthOf(at, 4)
    })
  )

  it.effect("an interrupt ends all attempts", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const server = yield* serve(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++)))
      const ledger = yield* clientOf(server, { aspects: hedge() })
      const fiber = yield* Effect.forkChild(passing(ledger.read({ text: "a" })))
      yield* until(Effect.sync(() => server.executions.length === 3))
      yield* Fiber.interrupt(fiber)
      yield* until(Effect.sync(() => interrupted === 3))
    })
  )

  it.effect("a request that is longer than what is kept goes on with one attempt", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => Effect.sleep("10 seconds"))
      const ledger = yield* clientOf(server, { aspects: hedge({ maxRequestBytes: 500 }) })
      const long = Stream.map(Stream.fromIterable(Array.from({ length: 10 }, (_, i) => i)), (i) => ({ text: `${i}${"x".repeat(100)}` }))
      yield* passing(ledger.put(long))
      assert.lengthOf(server.executions, 1)
      assert.lengthOf(server.executions[0]!.texts, 10)
    })
  )
})
