/** Prints a token: `npm run token -w examples/aspects -- NAME ROLE…`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Customer from "./Customer.ts"
import * as Environment from "./Environment.ts"

const [name = "ada", ...roles] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const { value } = yield* Customer.token(yield* Environment.secret, name, roles)
  yield* Console.log(Redacted.value(value))
}).pipe(
  Effect.catchTags({
    ConfigError: Environment.badConfiguration,
    SigningError: ({ message }) => Environment.failWith(message)
  })
)

NodeRuntime.runMain(program)
