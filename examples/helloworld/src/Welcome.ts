/** Prints where the greeter is and lines to paste that call it. */
import { App } from "@effect-kratos/core/App"
import { Server } from "@effect-kratos/transport/Server"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export const Welcome = Layer.effectDiscard(
  Effect.gen(function* () {
    const { info } = yield* App
    const { address } = yield* Server
    const url = `http://localhost:${address.port}`
    yield* Console.log(
      [
        "",
        `${info.name} ${info.version} serves REST, gRPC, gRPC-Web and Connect on ${url}`,
        "",
        "  REST",
        `    curl ${url}/helloworld/kratos`,
        `    curl ${url}/helloworld/nobody        # a typed error: 404 USER_NOT_FOUND`,
        "  gRPC",
        `    npx buf curl --protocol grpc --http2-prior-knowledge -d '{"name":"kratos"}' ${url}/helloworld.v1.Greeter/SayHello`,
        "  gRPC-Web",
        `    npx buf curl --protocol grpcweb -d '{"name":"kratos"}' ${url}/helloworld.v1.Greeter/SayHello`,
        "  Connect",
        `    curl -H 'content-type: application/json' -d '{"name":"kratos"}' ${url}/helloworld.v1.Greeter/SayHello`,
        `  documentation: ${url}/docs`,
        `    curl ${url}/openapi.json`,
        "  the typed client, through the registry",
        "    npm run call -- kratos",
        "  health",
        `    curl ${url}/readyz`,
        "",
        "Ctrl-C stops it.",
        ""
      ].join("\n")
    )
  })
)
