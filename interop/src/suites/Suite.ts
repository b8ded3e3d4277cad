/**
 * A suite: a yardstick that others made, held against us. It has parts, each with what it needs on the machine and a stream of results. Here parts are
 * run one after the other, and what goes wrong around a part (it lacks a program, fails, hangs, says nothing) becomes a result of its own, so that
 * nothing passes in silence.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Result } from "../Results.ts"

/** What became of one case. */
export interface CaseResult extends Result {
  readonly name: string
}

export interface Part {
  readonly name: string
  /** What it needs and cannot find, as `h2spec not found; interop/install.sh gets it`; undefined when all is there. */
  readonly missing: () => string | undefined
  readonly run: Stream.Stream<CaseResult, unknown>
  /** How long it may take, in seconds. Default 300. */
  readonly seconds?: number | undefined
}

export interface Suite {
  readonly name: string
  readonly about: string
  readonly parts: ReadonlyArray<Part>
}

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** A result as part of a line of its part. */
export interface Reported extends CaseResult {
  readonly part: string
}

export const ok = (name: string): CaseResult => ({ name, outcome: "ok", why: "" })
export const skip = (name: string, why: string): CaseResult => ({ name, outcome: "skip", why })
export const fail = (name: string, why: string): CaseResult => ({ name, outcome: "FAIL", why })

const oneLine = (text: string): string =>
  text
    .trim()
    .replaceAll(/\s*\n\s*/g, "; ")
    .slice(0, 600)

/** A case as an effect: it passes when the effect succeeds within its time. */
export const attempt = <R>(name: string, effect: Effect.Effect<unknown, unknown, R>, seconds = 30): Effect.Effect<CaseResult, never, R> =>
  effect.pipe(
    Effect.timeout(`${seconds} seconds`),
    Effect.as(ok(name)),
    Effect.catchCause((cause) => Effect.succeed(fail(name, Cause.pretty(cause))))
  )

/** Runs the parts whose names contain one of `only`, or all, and hands each result to `report` as it comes. */
export const run = Effect.fnUntraced(function* (
  suite: Suite,
  only: ReadonlyArray<string>,
  report: (result: Reported) => Effect.Effect<void>
): Effect.fn.Return<Totals> {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const part of suite.parts) {
    if (only.length > 0 && !only.some((text) => part.name.includes(text))) continue
    const tell = (result: CaseResult): Effect.Effect<void> =>
      Effect.suspend(() => {
        totals[result.outcome === "ok" ? "passed" : result.outcome === "skip" ? "skipped" : "failed"]++
        return report({ ...result, why: oneLine(result.why), part: part.name })
      })
    const missing = part.missing()
    if (missing !== undefined) {
      yield* tell(skip(part.name, missing))
      continue
    }
    const seconds = part.seconds ?? 300
    let told = 0
    yield* part.run.pipe(
      Stream.runForEach((result) => {
        told++
        return tell(result)
      }),
      Effect.timeout(`${seconds} seconds`),
      Effect.catchCause((cause) => tell(fail(part.name, Cause.pretty(cause)))),
      Effect.andThen(Effect.suspend(() => (told === 0 ? tell(fail(part.name, "it ran no case")) : Effect.void)))
    )
  }
  return totals
})

/** One line, however little happened: `.ci/run` reads it. */
export const line = ({ failed, passed, skipped }: Totals): string => `${passed} passed, ${failed} failed, ${skipped} skipped`
