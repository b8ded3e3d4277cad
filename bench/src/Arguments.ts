/** The command line of the benchmarks, parsed without touching the process, so that a test can state its laws. */
import * as Result from "effect/Result"
import { parseArgs } from "node:util"
import { BenchError } from "./BenchError.ts"
import * as Shape from "./Shape.ts"

export const benches = [
  "unary",
  "headers",
  "aspects",
  "guarded",
  "tls",
  "client",
  "download",
  "upload",
  "chat",
  "echo",
  "rest",
  "latency",
  "startup",
  "memory",
  "codec",
  "aegis",
  "selector",
  "stack"
] as const
export type BenchName = (typeof benches)[number]

export interface Arguments {
  readonly only: ReadonlyArray<BenchName>
  /** Names of subjects to run; empty means all. */
  readonly subjects: ReadonlyArray<string>
  /** Shapes of load; empty means each bench's own default. */
  readonly shapes: ReadonlyArray<Shape.Shape>
  /** Length of one timed run, in seconds. */
  readonly seconds: number
  /** How often each subject has its turn. */
  readonly rounds: number
  /** Untimed load before the first round of each subject, in seconds. */
  readonly warmup: number
  readonly json: boolean
  /** Hold the project's targets against the rows of the run. */
  readonly targets: boolean
  readonly help: boolean
}

export const usage = `npm run bench -- [options]

  --only LIST       benches to run, of ${benches.join(", ")} (default: all)
  --subjects LIST   subjects to run, by name (default: all)
  --load LIST       CONNECTIONSxSTREAMS, such as 10x10,64x1,1x100 (default: each bench its own; rest
                    speaks HTTP/1.1 and takes those with one stream)
  --seconds N       length of one timed run (default 1)
  --rounds N        how often each subject has its turn (default 5)
  --warmup N        seconds of untimed load before a subject's first turn (default 1)
  --json            one JSON object a row instead of a table
  --targets         at the end, the project's targets and whether this run meets them
  --help            this text
`

const wrong = (message: string) => Result.fail(new BenchError({ message: `${message}\n\n${usage}`, exitCode: 2 }))

const list = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined ? [] : text.split(",").flatMap((word) => (word.trim() === "" ? [] : [word.trim()]))

const isBench = (name: string): name is BenchName => benches.some((bench) => bench === name)

/** Parses what follows the program's name. Unknown options, unknown benches and figures out of range are usage errors. */
export const parse = (argv: ReadonlyArray<string>): Result.Result<Arguments, BenchError> => {
  const parsed = Result.try({
    try: () =>
      parseArgs({
        args: [...argv],
        allowPositionals: false,
        options: {
          only: { type: "string" },
          subjects: { type: "string" },
          load: { type: "string" },
          seconds: { type: "string", default: "1" },
          rounds: { type: "string", default: "5" },
          warmup: { type: "string", default: "1" },
          json: { type: "boolean", default: false },
          targets: { type: "boolean", default: false },
          help: { type: "boolean", default: false }
        }
      }).values,
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
  })
  if (Result.isFailure(parsed)) return wrong(parsed.failure)
  const values = parsed.success

  const names = list(values.only)
  const unknown = names.filter((name) => !isBench(name))
  if (unknown.length > 0) return wrong(`no such bench: ${unknown.join(", ")}`)
  if (values.only !== undefined && names.length === 0) return wrong("--only names no bench")

  const shapes: Array<Shape.Shape> = []
  for (const text of list(values.load)) {
    const shape = Shape.parse(text)
    if (shape === undefined) return wrong(`--load: "${text}" is not CONNECTIONSxSTREAMS`)
    shapes.push(shape)
  }
  const seconds = Number(values.seconds)
  if (!(seconds > 0 && seconds <= 600)) return wrong("--seconds must be over 0 and at most 600")
  const rounds = Number(values.rounds)
  if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000)) return wrong("--rounds must be an integer from 1 to 1000")
  const warmup = Number(values.warmup)
  if (!(warmup >= 0 && warmup <= 600)) return wrong("--warmup must be from 0 to 600")

  return Result.succeed({
    only: names.length === 0 ? benches : names.filter(isBench),
    subjects: list(values.subjects),
    shapes,
    seconds,
    rounds,
    warmup,
    json: values.json,
    targets: values.targets,
    help: values.help
  })
}
