/** The client of effect-kratos as its readme shows it, each worker a fiber; `aspects` around each call. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Static from "@effect-kratos/core/registry/Static"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { port, type Run, serve } from "./caller.ts"

const program = Effect.gen(function* () {
  const greeter = yield* Greeter
  const context = yield* Effect.context()
  const call = greeter.sayHello({ name: "kratos" })
  const worker = (run: Run) =>
    Effect.whileLoop({
      while: run.going,
      body: () => call,
      step: ({ message }) => run.answered(message)
    })
  serve((inFlight, run) => {
    const fiber = Effect.runForkWith(context)(
      Effect.forEach(Array(inFlight), () => worker(run), { concurrency: "unbounded", discard: true })
    )
    fiber.addObserver((exit) => {
      if (exit._tag === "Failure") run.failed(exit.cause)
    })
  })
  return yield* Effect.never
})

export const main = (aspects?: Aspect.Aspect<KratosError>): void => {
  const GreeterClient = Greeter.client(`direct:///127.0.0.1:${port}`, aspects === undefined ? {} : { aspects }).pipe(
    Layer.provide(Channels.layer),
    Layer.provide(Static.layer({}))
  )
  NodeRuntime.runMain(Effect.provide(program, GreeterClient))
}
