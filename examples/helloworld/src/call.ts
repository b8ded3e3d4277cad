/** Calls the greeter by its name in the registry: `npm run call -- NAME`. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as MetadataPropagation from "@effect-kratos/core/aspect/MetadataPropagation"
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failWith } from "./Failure.ts"
import { Greeter } from "./gen/helloworld/v1/greeter_effect.ts"
import { greet } from "./greet.ts"
import { RegistryLive } from "./Registry.ts"

const GreeterClient = Greeter.client("discovery:///helloworld", {
  aspects: Aspect.compose(Tracing.client, MetadataPropagation.client, Timeout.client)
}).pipe(Layer.provide(Channels.layer), Layer.provide(RegistryLive))

const program = Effect.matchEffect(greet(process.argv[2] ?? "kratos"), { onSuccess: Console.log, onFailure: failWith })

NodeRuntime.runMain(Effect.provide(program, GreeterClient))
