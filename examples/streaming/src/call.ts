/** Calls the sensors, each kind of method once, at localhost and `PORT` (default 8004). */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as aspects from "./aspects.ts"
import * as Environment from "./Environment.ts"
import { Sensors } from "./gen/sensor/v1/sensors_effect.ts"
import { tour } from "./tour.ts"

// an address; `discovery:///sensors` would ask a registry, as in examples/helloworld
const SensorsClient = Layer.unwrap(
  Effect.map(Environment.port, (port) => Sensors.client(`direct:///localhost:${port}`, { aspects: aspects.client }))
).pipe(Layer.provide(Channels.layerDirect))

const calls = Effect.forEach(tour, ([what, call]) => Effect.flatMap(call, (answer) => Console.log(`${what.padEnd(20)}${answer}`)))

const program = calls.pipe(
  Effect.provide(SensorsClient),
  Effect.catchTags({
    ConfigError: Environment.badConfiguration,
    KratosError: (error) =>
      Environment.failWith(
        KratosError.isServiceUnavailable(error)
          ? `${error.message}: is the service running? "npm start -w examples/streaming" starts it`
          : `a call failed with ${error.code} ${error.reason}: ${error.message}`
      )
  })
)

// what fails is said once, by the program; the client's own warnings are for services
NodeRuntime.runMain(Effect.provideService(program, References.MinimumLogLevel, "Error"))
