/** What the client makes of each answer. The greeter is a mock: no server, no network. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { GreeterUnspecified, UserNotFound } from "../src/gen/helloworld/v1/error_reason_effect.ts"
import { Greeter } from "../src/gen/helloworld/v1/greeter_effect.ts"
import { greet } from "../src/greet.ts"
import { GreeterLive } from "../src/GreeterLive.ts"

it.effect("passes the name on and the greeting back", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* greet("ada"), "Hello ada")
  }).pipe(Effect.provide(GreeterLive))
)

it.effect.each([
  [new UserNotFound({ message: "no ada" }), "nobody there: no ada"],
  [new GreeterUnspecified({ message: "hoarse" }), "the greeter failed: hoarse"],
  [KratosError.serviceUnavailable("NODE_NOT_FOUND", "no node"), 'no node: is the greeter running? "npm start" starts it'],
  [KratosError.gatewayTimeout("DEADLINE", "too late"), "the call failed with 504 DEADLINE: too late"]
] as const)("puts $0._tag into words: $1", ([error, line]) =>
  Effect.gen(function* () {
    assert.strictEqual(yield* Effect.flip(greet("ada")), line)
  }).pipe(Effect.provide(Layer.mock(Greeter, { sayHello: () => Effect.fail(error) })))
)
