/** What the client does, wherever the greeter is: asks for a greeting, and puts every failure into words. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import { Greeter } from "./gen/helloworld/v1/greeter_effect.ts"

/** The greeting, or a line that says why there is none. */
export const greet = (name: string): Effect.Effect<string, string, Greeter> =>
  Effect.gen(function* () {
    const greeter = yield* Greeter
    const reply = yield* greeter.sayHello({ name })
    return reply.message
  }).pipe(
    // every error that the contract declares, and KratosError for all others: leave one out and it does not compile
    Effect.catchTags({
      UserNotFound: ({ message }) => Effect.fail(`nobody there: ${message}`),
      GreeterUnspecified: ({ message }) => Effect.fail(`the greeter failed: ${message}`),
      KratosError: (error) =>
        Effect.fail(
          KratosError.isServiceUnavailable(error)
            ? `${error.message}: is the greeter running? "npm start" starts it`
            : `the call failed with ${error.code} ${error.reason}: ${error.message}`
        )
    })
  )
