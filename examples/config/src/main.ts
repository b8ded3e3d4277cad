/** A greeter that is configured by files and follows them while it runs. `--print-config` shows the config with the source of each value, and ends. */
import * as App from "@effect-kratos/core/App"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import { ConfigStore } from "@effect-kratos/core/config/ConfigStore"
import * as PrintConfig from "@effect-kratos/core/config/PrintConfig"
import * as Server from "@effect-kratos/transport/Server"
import { durationMs } from "@bufbuild/protobuf/wkt"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as Conf from "./Conf.ts"
import { Greet } from "./gen/greet/v1/greet_effect.ts"
import { GreetLive } from "./GreetLive.ts"

const directory = process.env["CONFIGS"] ?? fileURLToPath(new URL("../configs", import.meta.url))

const ServerLive = Layer.unwrap(
  Effect.gen(function* () {
    const { http } = yield* (yield* ConfigStore).get(Conf.server)
    const { hostname, port } = new URL(`tcp://${http?.addr ?? "127.0.0.1:8002"}`)
    return Server.layer({
      services: [Greet],
      host: hostname,
      port: Number(port),
      aspects: Aspect.compose(
        Logging.server,
        Recovery.server,
        Timeout.make(http?.timeout === undefined ? "1 second" : durationMs(http.timeout))
      )
    })
  })
)

const Welcome = Layer.effectDiscard(
  Effect.flatMap(Server.Server, ({ address }) =>
    Console.log(
      [
        "",
        `    curl localhost:${address.port}/v1/hello/kratos`,
        "",
        `Change the template in ${directory}/config.yaml and call again; break the file and see what the log says.`,
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  )
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "greet", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide(GreetLive)
)

const oneLine = ({ message }: { readonly message: string }) =>
  Effect.andThen(
    Console.error(message.replaceAll(/\s+/g, " ")),
    Effect.sync(() => {
      process.exitCode = 1
    })
  )

// what a person can put right is said in one line
const program = Layer.launch(Main).pipe(
  PrintConfig.orRun(),
  Effect.provide(Conf.layer(directory)),
  Effect.catchTags({ ConfigError: oneLine, ConfigSourceError: oneLine, ListenError: oneLine }),
  Effect.provide(NodeServices.layer)
)

NodeRuntime.runMain(program)
