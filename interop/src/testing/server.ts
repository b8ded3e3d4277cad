/**
 * Our server of gRPC's interop tests: server.ts [CERT KEY], over TLS with a certificate and its key. Prints {"port":N} and ends with its standard input.
 */
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { announce } from "../Announce.ts"
import { services, TestServiceLive } from "./TestServiceLive.ts"

/** What gRPC's own test servers take, in bytes: a case sends 10 MiB. */
const MAX_MESSAGE = 16_777_216

const [cert, key] = process.argv.slice(2)
const tls = cert === undefined || key === undefined ? undefined : { cert, key }

const Main = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port)))).pipe(
  Layer.provide(Server.layer({ services, host: "127.0.0.1", port: 0, tls, maxMessageBytes: MAX_MESSAGE })),
  Layer.provide(TestServiceLive)
)

NodeRuntime.runMain(Layer.launch(Main))
