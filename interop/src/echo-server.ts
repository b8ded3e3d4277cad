/**
 * Our server for the peers' clients: `test.v1.Echo` and the greeter of the example, gRPC, REST and health on one port.
 * With a certificate and its key, `echo-server.ts CERT KEY`, over TLS. Prints {"port":N} and ends with its standard input.
 */
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import { GreeterLive } from "@effect-kratos/example-helloworld/src/GreeterLive.ts"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { announce } from "./Announce.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { EchoLive, Interrupted } from "./EchoLive.ts"

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

const [cert, key] = process.argv.slice(2)
const tls = cert === undefined || key === undefined ? undefined : { cert, key }

const Main = Announce.pipe(
  Layer.provide(Server.layer({ services: [Echo, Greeter], host: "127.0.0.1", port: 0, tls })),
  Layer.provide([EchoLive, GreeterLive]),
  Layer.provide(Interrupted.layer)
)

NodeRuntime.runMain(Layer.launch(Main))
