/** The greeter in process and over the wire: callers cannot tell which. */
import * as Channels from "@effect-kratos/transport/Channels"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { UserNotFound } from "../src/gen/helloworld/v1/error_reason_effect.ts"
import { Greeter } from "../src/gen/helloworld/v1/greeter_effect.ts"
import { GreeterLive } from "../src/GreeterLive.ts"

/** The client of a greeter that is served on a network in memory: both HTTP/2 engines and gRPC on both sides are real. */
const OverTheWire = Greeter.client("discovery:///helloworld").pipe(
  Layer.provide(Channels.layerTo({ host: "greeter", port: 1 })),
  Layer.provide(Server.layer({ services: [Greeter], host: "greeter", port: 1 })),
  Layer.provide(GreeterLive),
  Layer.provide(Network.layerMemory)
)

describe.each([
  ["in process", GreeterLive],
  ["over the wire", OverTheWire]
] as const)("%s", (_, layer) => {
  it.effect("greets by name", () =>
    Effect.gen(function* () {
      const greeter = yield* Greeter
      assert.strictEqual((yield* greeter.sayHello({ name: "kratos" })).message, "Hello kratos")
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails with UserNotFound and who it was", () =>
    Effect.gen(function* () {
      const greeter = yield* Greeter
      const error = yield* Effect.flip(greeter.sayHello({ name: "nobody" }))
      assert.instanceOf(error, UserNotFound)
      assert.strictEqual(error.message, "user nobody was not found")
      assert.deepStrictEqual(error.metadata, { name: "nobody" })
    }).pipe(Effect.provide(layer))
  )
})
