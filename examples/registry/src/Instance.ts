/** An instance of the greeter: it says who it is, and is registered as `greeter` for as long as it serves. */
import * as App from "@effect-kratos/core/App"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Server from "@effect-kratos/transport/Server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface Options {
  readonly name: string
  readonly port: number
  /** More of its app, for tests. */
  readonly app?: Pick<App.Options, "deregisterWait" | "signals"> | undefined
}

/** Registers with the `Registrar` that it is given. */
export const layer = ({ app, name, port }: Options) =>
  App.layer({ name: "greeter", version: "1.0.0", metadata: { name }, ...app }).pipe(
    // whoever is called is told by the registry, so the port does not matter
    Layer.provideMerge(Server.layer({ services: [Greeter], host: "127.0.0.1", port })),
    Layer.provide(Greeter.layer({ sayHello: (request) => Effect.succeed({ message: `Hello ${request.name}, I am ${name}` }) }))
  )
