/** A client whose calls go by a service config, as it is and as it changes. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as CircuitBreaker from "@effect-kratos/core/aspect/CircuitBreaker"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as ServiceConfig from "@effect-kratos/core/policy/ServiceConfig"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { NamedClient } from "../Clients.ts"
import { clientOf, passing, serve } from "./LedgerRig.ts"

const down = KratosError.serviceUnavailable("DOWN", "not now")
const service = "test.v1.Ledger"
const retryPolicy = {
  maxAttempts: 3,
  initialBackoff: "0.01s",
  maxBackoff: "0.1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"]
}
const clients: ReadonlyArray<NamedClient> = [
  { name: "gRPC", options: {} },
  { name: "Connect, HTTP/1.1", options: { protocol: "connect", http: "1.1" } },
  { name: "REST", options: { protocol: "rest" } }
]

for (const { name, options } of clients) {
  describe(`a policy over ${name}`, () => {
    it.effect("tries again what a policy names, and of many methods what the contract allows", () =>
      Effect.gen(function* () {
        const policy = yield* ServiceConfig.decode({
          methodConfig: [
            { name: [{ service }], retryPolicy },
            { name: [{ service, method: "AddEach" }], retryPolicy: { ...retryPolicy, maxAttempts: 2 } }
          ]
        })
        const server = yield* serve(() => Effect.succeed({ after: 0, error: down }))
        const attempts: Array<number | undefined> = []
        const attemptAspects = Aspect.observe({ start: (call) => void attempts.push(call.attempt), end: () => undefined })
        const ledger = yield* clientOf(server, { ...options, policy, attemptAspects })
        const count = (method: string) => server.executions.filter((one) => one.method === method).length
        yield* Effect.flip(passing(ledger.read({ text: "a" })))
        assert.deepStrictEqual(attempts, [0, 1, 2])
        yield* Effect.flip(passing(ledger.add({ text: "a" })))
        yield* Effect.flip(passing(Stream.runDrain(ledger.addEach({ text: "a" }))))
        assert.deepStrictEqual([count("Read"), count("Add"), count("AddEach")], [3, 1, 2])
      })
    )

    it.effect("bounds time and size", () =>
      Effect.gen(function* () {
        const policy = yield* ServiceConfig.decode({
          methodConfig: [{ name: [{}], timeout: "2s", maxRequestMessageBytes: 2000, maxResponseMessageBytes: 1000 }]
        })
        const server = yield* serve((_, call) => (call.method === "Read" ? Effect.never : Effect.void))
        const ledger = yield* clientOf(server, { ...options, policy })
        const began = yield* Clock.currentTimeMillis
        assert.strictEqual(KratosError.code(yield* Effect.flip(passing(ledger.read({ text: "a" })))), 504)
        assert.isAtLeast((yield* Clock.currentTimeMillis) - began, 2000)
        for (const length of [1500, 2500]) {
          const error = yield* Effect.flip(passing(ledger.add({ text: "x".repeat(length) })))
          assert.strictEqual(KratosError.code(error), 429)
          assert.include(error.message, length === 1500 ? "1000" : "2000")
        }
        assert.lengthOf(
          server.executions.filter(({ method }) => method === "Add"),
          1
        )
        // the smaller counts
        const own = yield* clientOf(server, { ...options, policy, maxMessageBytes: 500 })
        assert.include((yield* Effect.flip(passing(own.add({ text: "x".repeat(600) })))).message, "500")
      })
    )

    it.effect("changes while the client is used; what it counts stays", () =>
      Effect.gen(function* () {
        const none = yield* ServiceConfig.decode({})
        const breaking = (maxAttempts: number) =>
          ServiceConfig.decode({
            methodConfig: [
              { name: [{ service }], retryPolicy: { ...retryPolicy, maxAttempts }, circuitBreaker: { k: 1, minimumRequests: 5 } }
            ],
            retryBudget: { ratio: 0, perSecond: 1000 }
          })
        const policy = yield* SubscriptionRef.make(none)
        const server = yield* serve(() => Effect.succeed({ after: 0, error: down }))
        const ledger = yield* clientOf(server, { ...options, policy })
        const call = Effect.flip(passing(ledger.read({ text: "a" })))
        yield* call
        assert.lengthOf(server.executions, 1)
        yield* SubscriptionRef.set(policy, yield* breaking(2))
        yield* call
        assert.lengthOf(server.executions, 3)
        yield* SubscriptionRef.set(policy, yield* breaking(3))
        yield* call
        assert.lengthOf(server.executions, 6)
        // five failures that the breaker remembers from before the change
        const { length } = server.executions
        for (let i = 0; i < 30; i++) yield* call
        assert.isBelow(server.executions.length, length + 15)
        assert.strictEqual(KratosError.reason(yield* call), CircuitBreaker.reason)
        yield* SubscriptionRef.set(policy, none)
        assert.strictEqual(KratosError.reason(yield* call), "DOWN")
      })
    )
  })
}

describe("a policy", () => {
  it.effect("waits for nodes when it says so, unless the client says otherwise", () =>
    Effect.gen(function* () {
      const policy = yield* ServiceConfig.decode({ methodConfig: [{ name: [{}], waitForReady: true, timeout: "30s" }] })
      const server = yield* serve(() => Effect.void)
      let down = true
      const network = {
        ...server.network,
        connect: (to: Parameters<typeof server.network.connect>[0]) =>
          Effect.suspend(() => server.network.connect(down ? { host: "nobody", port: 1 } : to))
      }
      const patient = yield* clientOf({ address: server.address, network }, { policy })
      const hasty = yield* clientOf({ address: server.address, network }, { policy, waitForReady: false })
      assert.strictEqual((yield* Effect.flip(passing(hasty.read({ text: "a" })))).message.length > 0, true)
      yield* Effect.forkChild(
        Effect.andThen(
          Effect.sleep("5 seconds"),
          Effect.sync(() => (down = false))
        )
      )
      yield* passing(patient.read({ text: "a" }))
    })
  )

  it.effect("hedges, and counts against one budget for all clients of a channel", () =>
    Effect.gen(function* () {
      const policy = yield* ServiceConfig.decode({
        methodConfig: [
          { name: [{ service }], hedgingPolicy: { maxAttempts: 2, hedgingDelay: "0.1s", nonFatalStatusCodes: ["UNAVAILABLE"] } }
        ],
        retryThrottling: { maxTokens: 4, tokenRatio: 0.001 }
      })
      let slow = true
      const server = yield* serve((n) =>
        slow ? (n % 2 === 0 ? Effect.sleep("1 hour") : Effect.void) : Effect.succeed({ after: 0, error: down })
      )
      const ledger = yield* clientOf(server, { policy })
      const began = yield* Clock.currentTimeMillis
      yield* passing(ledger.read({ text: "a" }))
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 60_000)
      assert.lengthOf(server.executions, 2)
      slow = false
      for (let i = 0; i < 5; i++) yield* Effect.flip(passing(ledger.read({ text: "a" })))
      // two failures leave half of the tokens: no more hedges
      assert.lengthOf(server.executions, 2 + 2 + 4)
    })
  )
})
