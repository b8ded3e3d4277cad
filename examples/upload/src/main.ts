/** File upload and download on routes of one's own. `PORT` changes the port, default 8002; `UPLOADS` the directory. */
import * as App from "@effect-kratos/core/App"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeHttpPlatform from "@effect/platform-node/NodeHttpPlatform"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Etag from "effect/http/Etag"
import * as Layer from "effect/Layer"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Files from "./Files.ts"

const ServerLive = Layer.unwrap(
  Effect.gen(function* () {
    const port = yield* Config.Port("PORT").pipe(Config.withDefault(8002))
    const directory = yield* Config.String("UPLOADS").pipe(Config.withDefault(join(tmpdir(), "effect-kratos-uploads")))
    return Server.layer({ services: [], port, maxBodyBytes: Files.MAX_FILE_BYTES * Files.FILES, routes: Files.routes({ directory }) })
  })
)

const Welcome = Layer.effectDiscard(
  Effect.flatMap(Server.Server, ({ address }) =>
    Console.log(
      [
        "",
        `takes files on http://localhost:${address.port}; in another terminal:`,
        "",
        `    curl -F file=@package.json http://localhost:${address.port}/upload`,
        `    curl http://localhost:${address.port}/files/package.json`,
        "",
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  )
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "upload", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide([NodeHttpPlatform.layer, Etag.layer]),
  Layer.provide(NodeServices.layer)
)

NodeRuntime.runMain(Layer.launch(Main))
