/** Calls the order service as ada, who may buy, and as eve, who may not; at localhost and `PORT` (default 8002). */
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Customer from "./Customer.ts"
import * as Environment from "./Environment.ts"
import { tour } from "./tour.ts"

const program = Effect.gen(function* () {
  const port = yield* Environment.port
  const secret = yield* Environment.secret
  for (const [name, roles, calls] of [
    ["ada", ["buyer"], tour],
    ["eve", [], tour.slice(0, 1)]
  ] as const) {
    const client = Customer.client(`direct:///localhost:${port}`, secret, name, roles)
    const answers = Effect.forEach(calls, ([what, call]) =>
      Effect.flatMap(call, (text) => Console.log(`${name}: ${what.padEnd(20)}${text}`))
    )
    yield* Effect.provide(answers, client)
  }
}).pipe(Effect.provide(Channels.layerDirect), Effect.catchTags({ ConfigError: Environment.badConfiguration }))

// what fails is said once, by the program; the client's own warnings are for services
NodeRuntime.runMain(Effect.provideService(program, References.MinimumLogLevel, "Error"))
