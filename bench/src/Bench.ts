/**
 * One bench: subjects that do the same work under the same loads. All subjects are opened at once and idle until their turn; rounds go
 * A B C, A B C, so that no subject owns a quiet minute of the machine.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { BenchError } from "./BenchError.ts"
import type { Measured } from "./Row.ts"
import type { Subject } from "./Subject.ts"

/** What one timed run says, by unit, such as `calls/s`. */
export type Figures = Readonly<Record<string, number>>

/** An open subject. */
export interface Turn {
  readonly measure: (load: string, seconds: number) => Effect.Effect<Figures, BenchError>
  /** Asks for the right answer; done before and after the rounds. */
  readonly check: Effect.Effect<void, BenchError>
}

export interface Bench {
  readonly name: string
  readonly subjects: ReadonlyArray<Subject>
  readonly loads: ReadonlyArray<string>
  /** False where a run must find a fresh process, or warms up by itself. */
  readonly warm: boolean
  /** Rounds, at most, of a bench whose figures hardly differ from round to round. Default: as many as are asked for. */
  readonly rounds?: number | undefined
  /** Starts a subject, which lives as long as the scope. */
  readonly open: (subject: Subject) => Effect.Effect<Turn, BenchError, Scope.Scope>
}

export interface Pace {
  readonly seconds: number
  readonly rounds: number
  readonly warmup: number
}

interface Running extends Turn {
  readonly name: string
}

export interface Outcome {
  readonly measured: ReadonlyArray<Measured>
  /** Subjects that gave no figure; the reasons were printed as they came up. */
  readonly failures: ReadonlyArray<string>
}

const note = (text: string) => Console.error(text)

/** Runs one bench. A subject that cannot start or answers wrongly is left out and named in `failures`; one without its program is skipped. */
export const run = (bench: Bench, pace: Pace): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const failures: Array<string> = []
    const scope = yield* Effect.scope
    const skipped = new Map<string, string>()
    let running: ReadonlyArray<Running> = [] // replaced, never changed, so that loops may lose subjects on the way

    const attempt = <A>(name: string, effect: Effect.Effect<A, BenchError>): Effect.Effect<A | undefined> =>
      Effect.flatMap(Effect.result(effect), (result) => {
        if (Result.isSuccess(result)) return Effect.succeed(result.success)
        failures.push(`${bench.name} ${name}`)
        running = running.filter((subject) => subject.name !== name)
        return Effect.as(note(`${bench.name} ${name}: ${result.failure.message}`), undefined)
      })

    for (const subject of bench.subjects) {
      if (subject.missing !== undefined) {
        skipped.set(subject.name, subject.missing)
        yield* note(`${bench.name} ${subject.name}: skipped, ${subject.missing}`)
        continue
      }
      const open = bench.open(subject).pipe(
        Scope.provide(scope),
        Effect.tap(({ check }) => check)
      )
      const turn = yield* attempt(subject.name, open)
      if (turn !== undefined) running = [...running, { name: subject.name, ...turn }]
    }

    const rounds = Math.min(pace.rounds, bench.rounds ?? pace.rounds)
    const measured: Array<Measured> = []
    for (const load of bench.loads) {
      const turn = (subject: Running, seconds: number) => attempt(subject.name, subject.measure(load, seconds))
      if (bench.warm && pace.warmup > 0) {
        for (const subject of running) yield* turn(subject, pace.warmup)
      }
      const units = new Map<string, Map<string, Array<number>>>()
      for (let round = 1; round <= rounds; round++) {
        yield* note(`${bench.name} ${load}: round ${round} of ${rounds}`)
        for (const subject of running) {
          const figures = yield* turn(subject, pace.seconds)
          for (const [unit, figure] of Object.entries(figures ?? {})) {
            const samples = units.get(unit) ?? new Map<string, Array<number>>()
            units.set(unit, samples)
            samples.set(subject.name, [...(samples.get(subject.name) ?? []), figure])
          }
        }
      }
      for (const subject of running) yield* attempt(subject.name, subject.check)
      for (const [unit, samples] of units) {
        for (const name of samples.keys()) {
          if (!running.some((subject) => subject.name === name)) samples.delete(name)
        }
        if (samples.size > 0) measured.push({ bench: bench.name, load, unit, samples, skipped })
      }
    }
    return { measured, failures }
  }).pipe(Effect.scoped)
