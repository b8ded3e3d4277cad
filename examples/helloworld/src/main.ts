/** The greeter: gRPC and REST on one port, registered as `helloworld`. `PORT` changes the port, default 8000. */
import * as App from "@effect-kratos/core/App"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failWith } from "./Failure.ts"
import { Greeter } from "./gen/helloworld/v1/greeter_effect.ts"
import { GreeterLive } from "./GreeterLive.ts"
import { RegistryLive } from "./Registry.ts"
import { Welcome } from "./Welcome.ts"

const ServerLive = Layer.unwrap(
  Effect.gen(function* () {
    const port = yield* Config.Port("PORT").pipe(Config.withDefault(8000))
    return Server.layer({
      services: [Greeter],
      port,
      aspects: Aspect.compose(Tracing.server, Logging.server, Recovery.server, MetadataPropagation.server, Timeout.server)
    })
  })
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "helloworld", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide(GreeterLive),
  Layer.provide(RegistryLive)
)

// what a person can put right is said in one line; anything else is a mistake in the program and is shown in full
const program = Layer.launch(Main).pipe(
  Effect.catchTags({
    ConfigError: ({ cause }) => failWith(`bad configuration: ${cause.message.replaceAll(/\s+/g, " ")}`),
    ListenError: ({ message, port }) => failWith(`${message}: is the port taken? PORT=${port + 1} npm start takes another`),
    RegistryError: ({ message }) => failWith(message)
  })
)

NodeRuntime.runMain(program)
