/** effect-kratos as its readme shows it: the example's contract, a generator handler, no aspects; gRPC and REST on one port. */
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { announce } from "./announce.ts"
import { tlsFiles } from "./tls.ts"

const GreeterLive = Greeter.layer({
  *sayHello(request) {
    return { message: `Hello ${request.name}` }
  }
})

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

const Main = Announce.pipe(
  Layer.provide(Server.layer({ services: [Greeter], host: "127.0.0.1", port: 0, tls: tlsFiles })),
  Layer.provide(GreeterLive)
)

NodeRuntime.runMain(Layer.launch(Main))
