/** The sensors: gRPC, Connect and REST, server-sent events and WebSockets, on one port. `PORT` changes the port, default 8004. */
import * as App from "@effect-kratos/core/App"
import * as Server from "@effect-kratos/transport/Server"
import * as Telemetry from "@effect-kratos/transport/Telemetry"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as aspects from "./aspects.ts"
import * as Environment from "./Environment.ts"
import { Sensors } from "./gen/sensor/v1/sensors_effect.ts"
import { Journal } from "./Journal.ts"
import { SensorsLive } from "./SensorsLive.ts"

const ServerLive = Layer.unwrap(
  Effect.map(Environment.port, (port) => Server.layer({ services: [Sensors], port, aspects: aspects.server }))
)

const Welcome = Layer.effectDiscard(
  Effect.flatMap(Server.Server, ({ address }) => {
    const url = `http://localhost:${address.port}/v1`
    return Console.log(
      [
        "",
        `sensors tell their values at ${url}; in another terminal:`,
        "",
        `    curl ${url}/sensors/steady`,
        `    curl -N -m 1 "${url}/sensors/steady:watch?every_ms=200"   # server-sent events; curl goes away after a second`,
        `    curl -N ${url}/sensors/fragile:watch                      # an error behind three values`,
        `    PORT=${address.port} npm run call -w examples/streaming             # the typed client: all four kinds`,
        "",
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  })
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "sensors", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide(SensorsLive),
  Layer.provide(Journal.layer),
  // traces, metrics and logs go where OTEL_* variables say; nowhere without any
  Layer.provide(Telemetry.layer())
)

const program = Layer.launch(Main).pipe(
  Effect.catchTags({
    ConfigError: Environment.badConfiguration,
    TelemetryError: ({ message }) => Environment.failWith(message),
    ListenError: ({ message, port }) =>
      Environment.failWith(`${message}: is the port taken? PORT=${port + 1} npm start -w examples/streaming takes another`)
  })
)

NodeRuntime.runMain(program)
