/** A place to try things: edit at will, run with `node scratchpad/src/main.ts`, do not commit what you tried. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Health from "@effect-kratos/transport/Health"
import * as Server from "@effect-kratos/transport/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

const ServerLive = Server.layer({ services: [], port: 0, host: "127.0.0.1", aspects: Aspect.compose(Logging.server, Recovery.server) })
const ChannelsLive = Layer.unwrap(Effect.map(Server.Server, ({ address }) => Channels.layerTo(address)))

const program = Effect.gen(function* () {
  const health = yield* Health.Health
  const { status } = yield* health.check({ service: "" })
  yield* Effect.log(`health over gRPC: ${status}`)
})

const HealthClient = Health.Health.client("direct:///server:1", { aspects: Logging.client })

Effect.runFork(program.pipe(Effect.provide(HealthClient.pipe(Layer.provide(ChannelsLive), Layer.provide(ServerLive)))))
