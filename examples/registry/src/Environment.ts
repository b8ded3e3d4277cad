/** What the programs read from the environment, and how they fail. */
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** Where an instance listens: `PORT`; by default any port, because who calls finds it. */
export const port = Config.Port("PORT").pipe(Config.withDefault(0))

/** What an instance calls itself: `NAME`. */
export const name = Config.String("NAME").pipe(Config.withDefault("one"))

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
