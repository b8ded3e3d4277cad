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

export interface Report {
  /** Requests answered a second. */
  readonly rate: number
  /** Requests answered. */
  readonly done: number
  /** Bytes of bodies that came back, those of requests that were cut off at the end included; 0 when the program does not say. */
  readonly bytes: number
  /** How long the program measured, in seconds. */
  readonly seconds: number
}

export interface Load {
  readonly run: (url: string, shape: Shape, seconds: number) => Effect.Effect<Report, BenchError>
}

const count = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN)

const unit: Readonly<Record<string, number>> = { m: 60, s: 1, ms: 1e-3, us: 1e-6 }

/** Reads `2.00s`, `1.50m` or `900.12ms`, in seconds. */
const duration = (text: string, pattern: RegExp): number => {
  const match = pattern.exec(text)
  return Number(match?.[1] ?? Number.NaN) * (unit[match?.[2] ?? ""] ?? Number.NaN)
}

/** Reads h2load's report, whose rate is 0 for a silent run, or why the run is void. */
export const parseH2load = (report: string): Result.Result<Report, string> => {
  const rate = count(report, /^finished in .*?, ([\d.]+) req\/s/m)
  const seconds = duration(report, /^finished in ([\d.]+)(m|s|ms|us),/m)
  const done = count(report, /^requests: .*?(\d+) done/m)
  const bytes = count(report, /^traffic: .*\((\d+)\) data/m)
  const bad = ["failed", "errored", "timeout"].map((kind) => count(report, new RegExp(`^requests: .*?(\\d+) ${kind}`, "m")))
  const ok = count(report, /^status codes: (\d+) 2xx/m)
  if ([rate, seconds, done, ok, bytes, ...bad].some(Number.isNaN)) return Result.fail("h2load printed no report")
  if (bad.some((n) => n > 0) || ok < done) return Result.fail(`${done} requests done, ${ok} with 2xx, ${bad.join(" + ")} failed`)
  return Result.succeed({ rate, done, bytes, seconds })
}

/** Reads wrk's report, whose rate is 0 for a silent run, or why the run is void. */
export const parseWrk = (report: string): Result.Result<Report, string> => {
  const rate = count(report, /^Requests\/sec:\s+([\d.]+)/m)
  const done = count(report, /^\s*(\d+) requests in /m)
  const seconds = duration(report, /^\s*\d+ requests in ([\d.]+)(m|s|ms|us),/m)
  const trouble = /^\s*(Non-2xx or 3xx responses: \d+|Socket errors: .+)$/m.exec(report)?.[1]
  if ([rate, done, seconds].some(Number.isNaN)) return Result.fail("wrk printed no report")
  if (trouble !== undefined) return Result.fail(trouble)
  return Result.succeed({ rate, done, bytes: 0, seconds })
}

const measured = (
  command: ReadonlyArray<string>,
  seconds: number,
  parse: (report: string) => Result.Result<Report, string>
): Effect.Effect<Report, BenchError> =>
  Child.run(command, seconds + 15).pipe(
    Effect.flatMap((report) => Effect.fromResult(Result.mapError(parse(report), failed))),
    Effect.repeat({ times: 2, while: ({ rate }) => rate === 0 }),
    Effect.flatMap((report) => (report.rate > 0 ? Effect.succeed(report) : Effect.fail(failed("no request was answered, three times"))))
  )

/** h2load over cleartext HTTP/2, over TLS for an https URL, or over HTTP/1.1 with `http1`. `pinned` comes before the command. */
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
