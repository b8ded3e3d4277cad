/** An instance of the greeter: `NAME=one npm start -w examples/registry`. `REGISTRY` says where it is registered, `PORT` where it listens. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Environment from "./Environment.ts"
import * as Instance from "./Instance.ts"
import { RegistryLive } from "./Registry.ts"

const Main = Layer.unwrap(
  Effect.gen(function* () {
    return Instance.layer({ name: yield* Environment.name, port: yield* Environment.port })
  })
).pipe(Layer.provide(RegistryLive))

NodeRuntime.runMain(
  Layer.launch(Main).pipe(
    Effect.catchTags({
      ConfigError: Environment.badConfiguration,
      RegistryError: ({ message }) => Environment.failWith(message),
      ListenError: ({ message }) => Environment.failWith(`${message}: is the port taken?`)
    })
  )
)
