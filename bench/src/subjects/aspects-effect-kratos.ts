/** effect-kratos with the aspects that a service would have, while nothing records: no exporter of traces, a level above that of the calls' lines. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { announce } from "./announce.ts"

const GreeterLive = Greeter.layer({
  *sayHello(request) {
    return { message: `Hello ${request.name}` }
  }
})

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

const ServerLive = Server.layer({
  services: [Greeter],
  host: "127.0.0.1",
  port: 0,
  aspects: Aspect.compose(Tracing.server, Logging.server, Recovery.server)
})

const Main = Announce.pipe(
  Layer.provide(ServerLive),
  Layer.provide(GreeterLive),
  Layer.provide(Layer.succeed(References.MinimumLogLevel, "Warn"))
)

NodeRuntime.runMain(Layer.launch(Main))
