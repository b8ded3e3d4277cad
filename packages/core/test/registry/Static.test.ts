import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Static from "@effect-kratos/core/registry/Static"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const a = ServiceInstance.make({ id: "a", name: "greeter", version: "1", endpoints: ["http://127.0.0.1:8000"] })
const b = ServiceInstance.make({ id: "grpc://b:9000", name: "greeter", endpoints: ["grpc://b:9000"] })

describe("Static", () => {
  it.effect("lists what it was given, by id, and takes a string for an endpoint", () =>
    Effect.gen(function* () {
      const discovery = yield* Discovery
      assert.deepStrictEqual(yield* discovery.get("greeter"), [a, b])
      assert.deepStrictEqual(yield* discovery.get("toString"), [])
    }).pipe(Effect.provide(Static.layer({ greeter: ["grpc://b:9000", a] })))
  )

  it.effect("emits the list once and stays open", () =>
    Effect.gen(function* () {
      const discovery = yield* Discovery
      const lists: Array<unknown> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(discovery.watch("greeter"), (list) => Effect.sync(() => lists.push(list))),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      assert.deepStrictEqual(lists, [[a]])
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(Static.layer({ greeter: [a] })))
  )

  it.effect("is made from configuration", () =>
    Effect.gen(function* () {
      const discovery = yield* Discovery
      assert.deepStrictEqual(yield* discovery.get("greeter"), [b])
    }).pipe(
      Effect.provide(
        Static.layerConfig(Config.schema(Schema.Record(Schema.String, Schema.Array(Schema.String)), "services")).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ services: { greeter: ["grpc://b:9000"] } })))
        )
      )
    )
  )
})
