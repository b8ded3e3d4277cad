/** Runs the load generator of our own, `replay/main.ts`, and reads its report. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { fileURLToPath } from "node:url"
import { type BenchError, failed } from "./BenchError.ts"
import * as Child from "./Child.ts"
import type { Report } from "./Load.ts"
import type { Options } from "./replay/Options.ts"
import type { ReplayReport } from "./replay/Report.ts"

const program = fileURLToPath(new URL("replay/main.ts", import.meta.url))

/** Reads the report; a run whose calls were not all answered with the same body, or with none at all, is void. `reply`: bytes of an answer's DATA. */
export const parse = (text: string, reply: number): Result.Result<ReplayReport, string> => {
  const report = parseJson(text)
  if (report === undefined) return Result.fail("the load generator printed no report")
  if (!(report.done > 0) || !(report.rate > 0)) return Result.fail("no call was answered")
  // streams that had not ended when the run did may have sent their DATA
  if (report.bytes < report.done * reply) return Result.fail(`${report.done} answers had ${report.bytes} bytes: some are no replies`)
  return Result.succeed(report)
}

const parseJson = (text: string): ReplayReport | undefined => {
  try {
    return JSON.parse(text) as ReplayReport // the program is ours
  } catch {
    return undefined
  }
}

/** One run. `pinned` comes before the command. */
export const run = (pinned: ReadonlyArray<string>, options: Options, reply: number): Effect.Effect<ReplayReport, BenchError> =>
  Child.run([...pinned, process.execPath, program, JSON.stringify(options)], options.seconds + 20).pipe(
    Effect.flatMap((text) => Effect.fromResult(Result.mapError(parse(text, reply), failed)))
  )

/** As the other load programs report. */
export const toReport = ({ bytes, done, rate, seconds }: ReplayReport): Report => ({ bytes, done, rate, seconds })
