/** What both programs read from the environment, and how they fail. */
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** Where the server listens: `PORT`, default 8004. */
export const port = Config.Port("PORT").pipe(Config.withDefault(8004))

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
