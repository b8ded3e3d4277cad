/** Two instances and a client that share a directory as their registry. */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Instance from "../src/Instance.ts"
import { RegistryLive } from "../src/Registry.ts"

/** The registry as a program of its own gets it from its environment. */
const registry = (environment: Record<string, string>) =>
  Layer.fresh(RegistryLive).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment))))

it.live("finds the instances by name, and goes on with those that are left", () =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const environment = { REGISTRY: "directory", REGISTRY_ADDRESS: yield* fs.makeTempDirectoryScoped() }
    const start = Effect.fnUntraced(function* (name: string) {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
      const instance = Instance.layer({ name, port: 0, app: { signals: [], deregisterWait: "50 millis" } })
      yield* Layer.buildWithScope(Layer.provide(Layer.fresh(instance), registry(environment)), scope)
      return { stop: Scope.close(scope, Exit.void) }
    })
    const one = yield* start("one")
    yield* start("two")

    const client = Greeter.client("discovery:///greeter").pipe(Layer.provide(Channels.layer), Layer.provideMerge(registry(environment)))
    const context = yield* Layer.build(client)
    const { sayHello } = Context.get(context, Greeter)
    const who = Effect.map(sayHello({ name: "you" }), ({ message }) => message)
    const seen = Effect.fnUntraced(function* (calls: number) {
      return new Set(yield* Effect.forEach(Array.from({ length: calls }), () => who))
    })
    const listed = (count: number) =>
      Stream.runHead(Stream.filter(Context.get(context, Discovery).watch("greeter"), (instances) => instances.length === count))

    const both = new Set(["Hello you, I am one", "Hello you, I am two"])
    yield* listed(2)
    // until both are connected
    yield* Effect.repeat(seen(10), { until: (names) => names.size === 2 })
    assert.deepStrictEqual(yield* seen(20), both)

    // it leaves while calls go on, none of which fails
    yield* Effect.all([one.stop, seen(200)], { concurrency: 2 })
    yield* listed(1)
    assert.deepStrictEqual(yield* seen(20), new Set(["Hello you, I am two"]))
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.provideService(References.MinimumLogLevel, "Error"))
)

it.effect("says which registries there are", () =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(Effect.scoped(Layer.build(registry({ REGISTRY: "eureka" }))))
    assert.include(String(error.cause), "zookeeper")
  })
)
