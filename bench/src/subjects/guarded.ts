/** effect-kratos as a service in production has it: the greeter behind aspects, each line of the log written and thrown away. */
import type { CpuUsage } from "@effect-kratos/aegis/CpuUsage"
import type * as Aspect from "@effect-kratos/core/Aspect"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as JsonLines from "@effect-kratos/core/log/JsonLines"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as CpuUsageLayer from "@effect-kratos/transport/CpuUsage"
import * as Server from "@effect-kratos/transport/Server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { announce } from "./announce.ts"

const GreeterLive = Greeter.layer({
  *sayHello(request) {
    return { message: `Hello ${request.name}` }
  }
})

const Announce = Layer.effectDiscard(Server.Server.use(({ address }) => Effect.sync(() => announce(address.port))))

/** The JSON that slog writes, too. */
const Discard = Logger.layer([Logger.map(JsonLines.make(), () => {})])

/** Serves behind `aspects`; `around` is what they need besides. */
export const serve = (aspects: Aspect.Aspect<KratosError, CpuUsage>, around: Layer.Layer<never> = Layer.empty): void => {
  const Main = Announce.pipe(
    Layer.provide(Server.layer({ services: [Greeter], host: "127.0.0.1", port: 0, aspects })),
    Layer.provide(GreeterLive),
    Layer.provide([CpuUsageLayer.layer(), Discard, around])
  )
  NodeRuntime.runMain(Layer.launch(Main))
}
