/** Several greeters in one process, each a server on a port of its own that says its name; a registry lists them with what balancers and filters go by. */
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as Server from "@effect-kratos/transport/Server"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface Instance {
  readonly name: string
  readonly version?: string | undefined
  /** `weight`, `colour`, `zone`, … */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** How long it takes for an answer. Default: none. */
  readonly latency?: Duration.Input | undefined
}

/** Starts an instance and registers it, until the scope closes. */
const start = Effect.fnUntraced(function* ({ latency = 0, metadata, name, version = "1.0.0" }: Instance) {
  const GreeterLive = Greeter.layer({ sayHello: () => Effect.delay(Effect.succeed({ message: name }), latency) })
  const context = yield* Layer.build(
    Layer.fresh(Server.layer({ services: [Greeter], host: "127.0.0.1", port: 0 })).pipe(Layer.provide(GreeterLive))
  )
  const { address } = Context.get(context, Server.Server)
  const registrar = yield* Registrar
  yield* registrar.register(
    ServiceInstance.make({ id: name, name: "greeter", version, metadata: metadata ?? {}, endpoints: [`grpc://127.0.0.1:${address.port}`] })
  )
})

/** The fleet, for as long as the layer is used. */
export const layer = (instances: ReadonlyArray<Instance>) => Layer.effectDiscard(Effect.forEach(instances, start, { discard: true }))
