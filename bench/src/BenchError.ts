/** Why a run, or one subject of it, came to nothing. */
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/** `exitCode` is what the process answers with: 1 for a subject that fails, 2 for a wrong call or a missing program. */
export class BenchError extends Schema.TaggedError<BenchError>("@effect-kratos/bench/BenchError")("BenchError", {
  message: Schema.String,
  exitCode: Schema.Literals([1, 2])
}) {
  override readonly [Runtime.errorExitCode] = this.exitCode
}

/** A subject, its check or its load failed. */
export const failed = (message: string): BenchError => new BenchError({ message, exitCode: 1 })
