/** Calls the greeter twice a second, wherever its instances are, and tells when they come and go. `CALLS` ends it after so many. */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Environment from "./Environment.ts"
import { RegistryLive } from "./Registry.ts"

// waits until there is somebody to call
const GreeterClient = Greeter.client("discovery:///greeter", { waitForReady: true }).pipe(Layer.provide(Channels.layer))

const call = Effect.gen(function* () {
  const { sayHello } = yield* Greeter
  const { message } = yield* sayHello({ name: "kratos" })
  yield* Console.log(message)
}).pipe(Effect.catch(({ message }) => Console.log(`failed: ${message}`)))

const watch = Effect.flatMap(Discovery, (discovery) =>
  Stream.runForEach(discovery.watch("greeter"), (instances) => {
    const names = instances.map(({ metadata }) => metadata["name"]).sort()
    return Console.log(`-- ${names.length} registered: ${names.join(", ")}`)
  })
)

const program = Effect.gen(function* () {
  const calls = yield* Config.Int("CALLS").pipe(Config.withDefault(Infinity))
  yield* Effect.forkScoped(watch)
  yield* Effect.repeat(call, { schedule: Schedule.spaced("500 millis"), times: calls - 1 })
})

NodeRuntime.runMain(
  program.pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(GreeterClient, RegistryLive)),
    Effect.catchTag("ConfigError", Environment.badConfiguration)
  )
)
