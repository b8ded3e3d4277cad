/** What the programs read from the environment, and how they fail. */
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

/** Where the server listens: `PORT`, default 8002. */
export const port = Config.Port("PORT").pipe(Config.withDefault(8002))

/** What tokens are signed with: `JWT_SECRET`. The default is for this example only: whoever reads it can sign. */
export const secret = Config.Redacted("JWT_SECRET").pipe(Config.withDefault(Redacted.make("a secret that everybody can read here")))

/** Ends the program with one line for a person on stderr and exit code 1. */
export const failWith = (line: string): Effect.Effect<void> =>
  Effect.andThen(
    Console.error(line),
    Effect.sync(() => {
      process.exitCode = 1
    })
  )

export const badConfiguration = ({ cause }: Config.ConfigError): Effect.Effect<void> =>
  failWith(`bad configuration: ${cause.message.replaceAll(/\s+/g, " ")}`)
