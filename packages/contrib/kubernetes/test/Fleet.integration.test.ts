/** A service in pods and a client that knows its name alone, over the real API server. */
import * as App from "@effect-kratos/core/App"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Kubernetes } from "../src/Kubernetes.ts"
import * as KubernetesRegistry from "../src/KubernetesRegistry.ts"
import { layer, operator, skip } from "./KubernetesServer.ts"

describe.skipIf(skip !== undefined)(`a fleet on Kubernetes${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("instances are found by name; one leaves under load, and no call fails", () =>
      Effect.gen(function* () {
        const { kubernetes, runPod } = yield* operator
        const registry = (pod?: string) =>
          Layer.fresh(KubernetesRegistry.layerKubernetes({ pod })).pipe(Layer.provide(Layer.succeed(Kubernetes, kubernetes)))
        const start = Effect.fnUntraced(function* (name: string) {
          const port = yield* Daemon.freePort
          yield* runPod(name, { spec: { containers: [{ name: "main", image: "none", ports: [{ containerPort: port }] }] } })
          const instance = App.layer({ name: "greeter", version: "1.0.0", signals: [], deregisterWait: "200 millis" }).pipe(
            Layer.provideMerge(Server.layer({ services: [Greeter], host: "127.0.0.1", port })),
            Layer.provide(Greeter.layer({ sayHello: () => Effect.succeed({ message: name }) }))
          )
          const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
          yield* Layer.buildWithScope(Layer.provide(Layer.fresh(instance), registry(name)), scope)
          return { stop: Scope.close(scope, Exit.void) }
        })
        const one = yield* start("one")
        yield* start("two")

        const context = yield* Layer.build(
          Greeter.client("discovery:///greeter").pipe(Layer.provide(Channels.layer), Layer.provideMerge(registry()))
        )
        const { sayHello } = Context.get(context, Greeter)
        const listed = (count: number) =>
          Context.get(context, Discovery)
            .watch("greeter")
            .pipe(
              Stream.filter((instances) => instances.length === count),
              Stream.runHead,
              Effect.timeout("30 seconds")
            )
        const seen = Effect.fnUntraced(function* (calls: number) {
          const said = yield* Effect.forEach(Array.from({ length: calls }), () => sayHello({ name: "you" }))
          return [...new Set(said.map(({ message }) => message))].sort().join()
        })
        yield* listed(2)
        // until both are connected
        yield* Effect.repeat(seen(10), { until: (names) => names === "one,two" })
        yield* Effect.all([one.stop, seen(300)], { concurrency: 2 })
        yield* listed(1)
        assert.strictEqual(yield* seen(20), "two")
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))
    )
  })
})
