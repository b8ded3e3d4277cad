import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Grpc } from "../../src/error/Status.ts"
import * as ServiceConfig from "../../src/policy/ServiceConfig.ts"

/** As gRPC's documentation has it, with all that is common to us. */
const full = {
  loadBalancingConfig: [{ round_robin: {} }],
  methodConfig: [
    {
      name: [{ service: "shop.v1.Shop", method: "Get" }],
      timeout: "1.5s",
      waitForReady: true,
      maxRequestMessageBytes: 1000,
      maxResponseMessageBytes: 2000,
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: ".1s",
        maxBackoff: "1s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE", "aborted", 4]
      }
    },
    { name: [{ service: "shop.v1.Shop" }], hedgingPolicy: { maxAttempts: 3, hedgingDelay: "0s", nonFatalStatusCodes: [] } },
    { name: [{}], timeout: "10s", circuitBreaker: { k: 2, window: "3s" }, bulkhead: { limit: 10, queue: 5 } }
  ],
  retryThrottling: { maxTokens: 10, tokenRatio: 0.1 },
  healthCheckConfig: { serviceName: "x" }
}

const policy = { maxAttempts: 4, initialBackoff: "0.1s", maxBackoff: "1s", backoffMultiplier: 2, retryableStatusCodes: ["UNAVAILABLE"] }
const withRetry = (changes: object) => ({ methodConfig: [{ name: [{}], retryPolicy: { ...policy, ...changes } }] })

describe("ServiceConfig", () => {
  it.effect("reads gRPC's JSON", () =>
    Effect.gen(function* () {
      const config = yield* ServiceConfig.decode(full)
      const get = ServiceConfig.methodConfig(config, { service: "shop.v1.Shop", method: "Get" })!
      assert.isTrue(get.named)
      assert.strictEqual(Duration.toMillis(get.config.timeout!), 1500)
      assert.strictEqual(Duration.toMillis(get.config.retryPolicy!.initialBackoff), 100)
      assert.deepStrictEqual([...get.config.retryPolicy!.retryableStatusCodes], [Grpc.UNAVAILABLE, Grpc.ABORTED, Grpc.DEADLINE_EXCEEDED])
      const put = ServiceConfig.methodConfig(config, { service: "shop.v1.Shop", method: "Put" })!
      assert.deepStrictEqual([put.named, put.config.hedgingPolicy?.maxAttempts], [false, 3])
      const other = ServiceConfig.methodConfig(config, { service: "other.v1.Other", method: "Get" })!
      assert.strictEqual(other.config.bulkhead?.limit, 10)
      assert.deepStrictEqual(yield* ServiceConfig.parse(JSON.stringify(full)), config)
      assert.deepStrictEqual(yield* ServiceConfig.decode(ServiceConfig.encode(config)), config)
      assert.isUndefined(ServiceConfig.methodConfig(yield* ServiceConfig.decode({}), { service: "a", method: "b" }))
    })
  )

  it.effect("says where and why something is none", () =>
    Effect.gen(function* () {
      for (const [value, ...parts] of [
        [withRetry({ maxAttempts: 1 }), "methodConfig[0].retryPolicy.maxAttempts", "2"],
        [withRetry({ initialBackoff: "100ms" }), "methodConfig[0].retryPolicy.initialBackoff", "a duration such as 0.5s"],
        [withRetry({ maxBackoff: "0s" }), "methodConfig[0].retryPolicy.maxBackoff"],
        [withRetry({ backoffMultiplier: 0 }), "methodConfig[0].retryPolicy.backoffMultiplier"],
        [withRetry({ retryableStatusCodes: [] }), "methodConfig[0].retryPolicy.retryableStatusCodes"],
        [withRetry({ retryableStatusCodes: ["DOWN"] }), "methodConfig[0].retryPolicy.retryableStatusCodes[0]", '"DOWN"'],
        [{ methodConfig: [{ name: [{ method: "Get" }] }] }, "methodConfig[0].name[0]", "no service"],
        [{ methodConfig: [{ name: [] }] }, "methodConfig[0].name"],
        [{ methodConfig: [{ name: [{}] }, { name: [{}] }] }, "one entry of methodConfig for all methods"],
        [
          { methodConfig: [{ name: [{}], retryPolicy: policy, hedgingPolicy: { maxAttempts: 2 } }] },
          "methodConfig[0]",
          "either retryPolicy or hedgingPolicy"
        ],
        [{ retryThrottling: { maxTokens: 0, tokenRatio: 1 } }, "retryThrottling.maxTokens"],
        ["text", "not a service config"]
      ] as ReadonlyArray<readonly [unknown, ...ReadonlyArray<string>]>) {
        const error = yield* Effect.flip(ServiceConfig.decode(value))
        for (const part of parts) assert.include(error.message, part)
      }
      // all of them at once
      const { message } = yield* Effect.flip(ServiceConfig.decode(withRetry({ maxAttempts: 0, maxBackoff: "soon" })))
      assert.include(message, "maxAttempts")
      assert.include(message, "maxBackoff")
      assert.include((yield* Effect.flip(ServiceConfig.parse("{"))).message, "not a service config")
    })
  )

  it.effect("comes out of a configuration", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.fromUnknown({ client: { shop: full } })
      const config = yield* ServiceConfig.config("shop").pipe((config) => config.parse(ConfigProvider.nested(provider, "client")))
      assert.deepStrictEqual(config, yield* ServiceConfig.decode(full))
      const error = yield* Effect.flip(ServiceConfig.config().parse(ConfigProvider.fromUnknown(withRetry({ maxAttempts: 1 }))))
      assert.include(error.message, "maxAttempts")
    })
  )
})
