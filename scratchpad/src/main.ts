/** A place to try things: edit at will, run with `node scratchpad/src/main.ts`, do not commit what you tried. */
import * as Effect from "effect/Effect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"

const program = Effect.gen(function* () {
  const metadata = Metadata.fromRecord({ "X-Md-Global-Caller": "scratchpad" })
  yield* Effect.log("metadata", Object.fromEntries(metadata))
  return yield* KratosError.notFound("NOTHING_HERE", "try something")
})

Effect.runFork(Effect.catchTag(program, "KratosError", (error) => Effect.log(`${error.code} ${error.reason}: ${error.message}`)))
