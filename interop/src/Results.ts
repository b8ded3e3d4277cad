/** What became of each case when a client program went through them against a server program. */
import * as Effect from "effect/Effect"
import * as Program from "./Program.ts"

export interface Result {
  readonly outcome: "ok" | "skip" | "FAIL"
  /** Empty when it went well. */
  readonly why: string
}

export type Results = ReadonlyMap<string, Result>

/** Reads the lines that a client printed; others are ignored. */
export const parse = (stdout: string): Results =>
  new Map(
    [...stdout.matchAll(/^(ok|skip|FAIL) (\S+) ?(.*)$/gm)].map(([, outcome, name, why]) => [
      name!,
      { outcome: outcome as Result["outcome"], why: why! } // the pattern matches nothing else
    ])
  )

/** Starts the server, runs the client through all cases and stops the server. A client that crashes is an error. */
export const collect = (server: ReadonlyArray<string>, client: ReadonlyArray<string>): Effect.Effect<Results, Program.ProgramError> =>
  Effect.gen(function* () {
    const port = yield* Program.serve(server)
    const { code, stderr, stdout } = yield* Program.run([...client, `127.0.0.1:${port}`], { seconds: 100 })
    if (code === 0 || code === 1) return parse(stdout)
    return yield* new Program.ProgramError({ command: client.join(" "), message: `ended with ${code}: ${stderr.slice(-2000)}` })
  }).pipe(Effect.scoped)
