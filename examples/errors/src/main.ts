/** The user service: gRPC and REST on one port. `PORT` changes the port, default 8001. */
import * as App from "@effect-kratos/core/App"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Environment from "./Environment.ts"
import { Users } from "./gen/user/v1/users_effect.ts"
import { UsersLive } from "./UsersLive.ts"
import { UserStore } from "./UserStore.ts"

const ServerLive = Layer.unwrap(
  Effect.map(Environment.port, (port) =>
    Server.layer({
      services: [Users],
      port,
      // what a caller did wrong is a warning here, not an error: nothing is broken
      aspects: Aspect.compose(Logging.makeServer({ level: Logging.levelByClass }), Recovery.server)
    })
  )
)

const Welcome = Layer.effectDiscard(
  Effect.flatMap(Server.Server, ({ address }) => {
    const url = `http://localhost:${address.port}/v1/users`
    const post = `curl ${url} -H 'content-type: application/json' -d`
    return Console.log(
      [
        "",
        `users are kept at ${url}; in another terminal:`,
        "",
        `    ${post} '{"name":"ada"}'`,
        `    ${post} '{"name":"ada"}'   # again: 409 USER_EXISTS`,
        `    ${post} '{"name":""}'      # 400 NAME_INVALID`,
        `    curl ${url}/1`,
        `    curl ${url}/404            # 404 USER_NOT_FOUND`,
        `    PORT=${address.port} npm run call -w examples/errors    # the typed client`,
        "",
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  })
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "users", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide(UsersLive),
  Layer.provide(UserStore.layerMemory())
)

// what a person can put right is said in one line; anything else is a mistake in the program and is shown in full
const program = Layer.launch(Main).pipe(
  Effect.catchTags({
    ConfigError: Environment.badConfiguration,
    ListenError: ({ message, port }) =>
      Environment.failWith(`${message}: is the port taken? PORT=${port + 1} npm start -w examples/errors takes another`)
  })
)

NodeRuntime.runMain(program)
