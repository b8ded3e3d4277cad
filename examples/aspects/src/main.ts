/** The order service: gRPC and REST on one port. `PORT` changes the port, default 8002; `JWT_SECRET` the secret of its tokens. */
import * as App from "@effect-kratos/core/App"
import * as CpuUsage from "@effect-kratos/transport/CpuUsage"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Environment from "./Environment.ts"
import { Orders } from "./gen/orders/v1/orders_effect.ts"
import * as OrdersLive from "./OrdersLive.ts"
import * as Stack from "./Stack.ts"

const ServerLive = Layer.unwrap(
  Effect.gen(function* () {
    const port = yield* Environment.port
    const secret = yield* Environment.secret
    return Server.layer({ services: [Orders], port, aspects: Stack.server, metrics: true }).pipe(Layer.provide(OrdersLive.layer(secret)))
  })
)

const Welcome = Layer.effectDiscard(
  Effect.flatMap(Server.Server, ({ address }) => {
    const url = `http://localhost:${address.port}`
    const token = "$(npm run --silent token -w examples/aspects -- ada buyer)"
    const post = `curl ${url}/v1/orders -H 'content-type: application/json' -H "authorization: Bearer ${token}" -d`
    return Console.log(
      [
        "",
        `orders are taken at ${url}/v1/orders; in another terminal:`,
        "",
        `    ${post} '{"item":"tea","quantity":2}'`,
        `    ${post} '{"item":"","quantity":0}'       # 400 VALIDATOR`,
        `    ${post} '{"item":"tea","quantity":99}'   # 409 OUT_OF_STOCK`,
        `    ${post} '{"item":"bug","quantity":1}'    # 500 UNKNOWN: Recovery`,
        `    curl ${url}/v1/orders -d '{"item":"tea"}'   # 401 UNAUTHORIZED`,
        `    curl ${url}/v1/orders -H "authorization: Bearer ${token}"`,
        `    curl ${url}/metrics`,
        `    PORT=${address.port} npm run call -w examples/aspects    # the typed client: all kinds of method, and the rate limit`,
        "",
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  })
)

const Main = Welcome.pipe(
  Layer.provide(App.layer({ name: "orders", version: "1.0.0" })),
  Layer.provide(ServerLive),
  Layer.provide(CpuUsage.layer())
)

// what a person can put right is said in one line; anything else is a mistake in the program and is shown in full
const program = Layer.launch(Main).pipe(
  Effect.catchTags({
    ConfigError: Environment.badConfiguration,
    ListenError: ({ message, port }) =>
      Environment.failWith(`${message}: is the port taken? PORT=${port + 1} npm start -w examples/aspects takes another`)
  })
)

NodeRuntime.runMain(program)
