/** Our member of the fleet: `node.ts CONFIG`, see `FleetConfig`. Prints {"http":N,"grpc":N} when it is ready and registered; SIGTERM lets it go in peace. */
import * as App from "@effect-kratos/core/App"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Fleet } from "../gen/fleet/v1/fleet_effect.ts"
import * as Callers from "./Callers.ts"
import * as FleetConfig from "./FleetConfig.ts"
import * as FleetLive from "./FleetLive.ts"
import * as Registry from "./Registry.ts"

const Announce = Layer.effectDiscard(
  Server.Server.use(({ address: { port } }) =>
    Effect.sync(() => {
      process.stdout.write(`${JSON.stringify({ http: port, grpc: port })}\n`)
      process.stdin.on("end", () => process.exit(0))
      process.stdin.resume()
    })
  )
)

const Main = Layer.unwrap(
  Effect.map(FleetConfig.decode(process.argv[2]), ({ endpoints, id = "ours", json, metadata, name, registry, version }) => {
    const served = Announce.pipe(
      Layer.provide(App.layer({ endpoints, id, metadata, name, registration: "required", version })),
      Layer.provide(
        Server.layer({
          services: [Fleet],
          host: "127.0.0.1",
          port: 0,
          json,
          aspects: Aspect.compose(Tracing.server, MetadataPropagation.server, FleetLive.validation)
        })
      ),
      Layer.provide(FleetLive.layer(id)),
      Layer.provide(Callers.layer)
    )
    return registry === undefined
      ? Layer.provide(served, Channels.layerDirect)
      : served.pipe(Layer.provide(Channels.layer), Layer.provide(Registry.layer(registry)))
  })
)

NodeRuntime.runMain(Layer.launch(Layer.provide(Main, Callers.tracer)))
