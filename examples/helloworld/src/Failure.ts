/** How the programs of this example fail: one line for a person on stderr, exit code 1. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

export const failWith = (line: string): Effect.Effect<void> =>
  Effect.andThen(
    Console.error(line),
    Effect.sync(() => {
      process.exitCode = 1
    })
  )
