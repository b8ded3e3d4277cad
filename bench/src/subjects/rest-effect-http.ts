/** Effect's own HttpRouter on Node's server, its request logger off, as its docs advise for speed. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { createServer } from "node:http"
import { announce } from "./announce.ts"

const Hello = HttpRouter.add(
  "GET",
  "/helloworld/:name",
  Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.jsonUnsafe({ message: `Hello ${name}` }))
)

const Announce = Layer.effectDiscard(
  HttpServer.HttpServer.use(({ address }) => Effect.sync(() => announce("port" in address ? address.port : null)))
)

const Main = HttpRouter.serve(Hello, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.merge(Announce),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)
NodeRuntime.runMain(Layer.launch(Main))
