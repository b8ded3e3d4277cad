/** Calls the greeter by its name in the registry: `npm run call -- NAME`. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failWith } from "./Failure.ts"
import { Greeter } from "./gen/helloworld/v1/greeter_effect.ts"
import { RegistryLive } from "./Registry.ts"

const GreeterClient = Greeter.client("discovery:///helloworld", {
  aspects: Aspect.compose(Tracing.client, MetadataPropagation.client, Timeout.client)
}).pipe(Layer.provide(Channels.layer), Layer.provide(RegistryLive))

const program = Effect.gen(function* () {
  const greeter = yield* Greeter
  const reply = yield* greeter.sayHello({ name: process.argv[2] ?? "kratos" })
  yield* Console.log(reply.message)
}).pipe(
  // every error that the contract declares, and KratosError for all others: nothing is left
  Effect.catchTags({
    UserNotFound: ({ message }) => failWith(`nobody there: ${message}`),
    GreeterUnspecified: ({ message }) => failWith(`the greeter failed: ${message}`),
    KratosError: (error) =>
      failWith(
        KratosError.isServiceUnavailable(error)
          ? `${error.message}: is the greeter running? "npm start" starts it`
          : `${error.code} ${error.reason} ${error.message}`
      )
  })
)

NodeRuntime.runMain(Effect.provide(program, GreeterClient))
