/**
 * The load programs, h2load and wrk, and what they print. Both are asked for a rate over a fixed time; both count answers
 * whose status is wrong, and a single such answer, or a failed request, makes the run void. A short run on a busy machine may end
 * before its first answer; such a run is silent, not wrong, and is done again, twice at most.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type BenchError, failed } from "./BenchError.ts"
import * as Child from "./Child.ts"
import type { Shape } from "./Shape.ts"

export interface Load {
  /** Requests answered a second. */
  readonly run: (url: string, shape: Shape, seconds: number) => Effect.Effect<number, BenchError>
}

const count = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN)

/** Reads h2load's report: the rate, 0 for a silent run, or why the run is void. */
export const parseH2load = (report: string): Result.Result<number, string> => {
  const rate = count(report, /^finished in .*?, ([\d.]+) req\/s/m)
  const done = count(report, /^requests: .*?(\d+) done/m)
  const bad = ["failed", "errored", "timeout"].map((kind) => count(report, new RegExp(`^requests: .*?(\\d+) ${kind}`, "m")))
  const ok = count(report, /^status codes: (\d+) 2xx/m)
  if ([rate, done, ok, ...bad].some(Number.isNaN)) return Result.fail("h2load printed no report")
  if (bad.some((n) => n > 0) || ok < done) return Result.fail(`${done} requests done, ${ok} with 2xx, ${bad.join(" + ")} failed`)
  return Result.succeed(rate)
}

/** Reads wrk's report: the rate, 0 for a silent run, or why the run is void. */
export const parseWrk = (report: string): Result.Result<number, string> => {
  const rate = count(report, /^Requests\/sec:\s+([\d.]+)/m)
  const trouble = /^\s*(Non-2xx or 3xx responses: \d+|Socket errors: .+)$/m.exec(report)?.[1]
  if (Number.isNaN(rate)) return Result.fail("wrk printed no report")
  if (trouble !== undefined) return Result.fail(trouble)
  return Result.succeed(rate)
}

const measured = (
  command: ReadonlyArray<string>,
  seconds: number,
  parse: (report: string) => Result.Result<number, string>
): Effect.Effect<number, BenchError> =>
  Child.run(command, seconds + 15).pipe(
    Effect.flatMap((report) => Effect.fromResult(Result.mapError(parse(report), failed))),
    Effect.repeat({ times: 2, while: (rate) => rate === 0 }),
    Effect.flatMap((rate) => (rate > 0 ? Effect.succeed(rate) : Effect.fail(failed("no request was answered, three times"))))
  )

/** h2load over cleartext HTTP/2, or over HTTP/1.1 with `http1`. `pinned` comes before the command. */
export const h2load = (
  program: string,
  pinned: ReadonlyArray<string>,
  options: {
    readonly body?: string | undefined
    readonly headers?: ReadonlyArray<string> | undefined
    readonly http1?: boolean | undefined
  }
): Load => ({
  run: (url, shape, seconds) =>
    measured(
      [
        ...pinned,
        program,
        `--clients=${shape.connections}`,
        `--max-concurrent-streams=${shape.streams}`,
        `--duration=${Math.round(seconds * 1000)}ms`,
        ...(options.http1 === true ? ["--h1"] : []),
        ...(options.body === undefined ? [] : [`--data=${options.body}`]),
        ...(options.headers ?? []).map((header) => `--header=${header}`),
        url
      ],
      seconds,
      parseH2load
    )
})

/** wrk, one thread. It measures whole seconds, at least one. */
export const wrk = (program: string, pinned: ReadonlyArray<string>): Load => ({
  run: (url, shape, seconds) => {
    const whole = Math.max(1, Math.round(seconds))
    return measured([...pinned, program, "-t1", `-c${shape.connections}`, `-d${whole}s`, url], whole, parseWrk)
  }
})
