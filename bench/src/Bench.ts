/**
 * One bench: subjects that answer the same call, a check and a load. All subjects are started at once and idle until
 * their turn; rounds go A B C, A B C, so that no subject owns a quiet minute of the machine.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import type { BenchError } from "./BenchError.ts"
import * as Child from "./Child.ts"
import type { Cores } from "./Cores.ts"
import type { Load } from "./Load.ts"
import type { Measured } from "./Row.ts"
import * as Shape from "./Shape.ts"

export interface Bench {
  readonly name: string
  readonly unit: string
  readonly url: (port: number) => string
  readonly check: (port: number) => Effect.Effect<void, BenchError>
  readonly load: Load
  /** Subjects by name; the program is `subjects/<bench>-<name>.ts`. */
  readonly subjects: ReadonlyArray<string>
  readonly shapes: ReadonlyArray<Shape.Shape>
}

export interface Pace {
  readonly seconds: number
  readonly rounds: number
  readonly warmup: number
}

interface Running {
  readonly name: string
  readonly port: number
}

export interface Outcome {
  readonly measured: ReadonlyArray<Measured>
  /** Subjects that gave no figure; the reasons were printed as they came up. */
  readonly failures: ReadonlyArray<string>
}

const program = (bench: Bench, subject: string) => fileURLToPath(new URL(`subjects/${bench.name}-${subject}.ts`, import.meta.url))

const note = (text: string) => Console.error(text)

/** Runs one bench. A subject that cannot start or answers wrongly is left out and named in `failures`. */
export const run = (bench: Bench, cores: Cores, pace: Pace): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const failures: Array<string> = []
    const scope = yield* Effect.scope
    let running: ReadonlyArray<Running> = [] // replaced, never changed, so that loops may lose subjects on the way

    const attempt = <A>(name: string, effect: Effect.Effect<A, BenchError>): Effect.Effect<A | undefined> =>
      Effect.flatMap(Effect.result(effect), (result) => {
        if (Result.isSuccess(result)) return Effect.succeed(result.success)
        failures.push(`${bench.name} ${name}`)
        running = running.filter((subject) => subject.name !== name)
        return Effect.as(note(`${bench.name} ${name}: ${result.failure.message}`), undefined)
      })

    for (const name of bench.subjects) {
      const start = Child.serve([...cores.server, process.execPath, program(bench, name)]).pipe(
        Scope.provide(scope),
        Effect.tap(bench.check)
      )
      const port = yield* attempt(name, start)
      if (port !== undefined) running = [...running, { name, port }]
    }

    const measured: Array<Measured> = []
    for (const shape of bench.shapes) {
      const load = (subject: Running, seconds: number) => attempt(subject.name, bench.load.run(bench.url(subject.port), shape, seconds))
      if (pace.warmup > 0) {
        for (const subject of running) yield* load(subject, pace.warmup)
      }
      const samples = new Map<string, Array<number>>(running.map(({ name }) => [name, []]))
      for (let round = 1; round <= pace.rounds; round++) {
        yield* note(`${bench.name} ${Shape.format(shape)}: round ${round} of ${pace.rounds}`)
        for (const subject of running) {
          const rate = yield* load(subject, pace.seconds)
          if (rate !== undefined) samples.get(subject.name)?.push(rate)
        }
      }
      for (const subject of running) yield* attempt(subject.name, bench.check(subject.port))
      for (const name of samples.keys()) {
        if (!running.some((subject) => subject.name === name)) samples.delete(name)
      }
      if (samples.size > 0) measured.push({ bench: bench.name, load: Shape.format(shape), unit: bench.unit, samples })
    }
    return { measured, failures }
  }).pipe(Effect.scoped)
