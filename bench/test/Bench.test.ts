import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestConsole from "effect/testing/TestConsole"
import * as Bench from "../src/Bench.ts"
import { failed } from "../src/BenchError.ts"
import type { Subject } from "../src/Subject.ts"

const subject = (name: string, missing?: string): Subject => ({ name, command: [], missing })

/** A bench whose subjects say what happens to them; `figure` is what a run of one says. */
const make = (log: Array<string>, overrides: Partial<Bench.Bench>, figure: (name: string) => Effect.Effect<Bench.Figures, never>) => ({
  name: "bench",
  subjects: [subject("a"), subject("b")],
  loads: ["load"],
  warm: true,
  open: ({ name }: Subject) =>
    Effect.acquireRelease(
      Effect.sync((): Bench.Turn => {
        log.push(`open ${name}`)
        return {
          measure: (load, seconds) =>
            Effect.suspend(() => {
              log.push(`${name} ${load} ${seconds}`)
              return figure(name)
            }),
          check: Effect.sync(() => void log.push(`check ${name}`))
        }
      }),
      () => Effect.sync(() => void log.push(`close ${name}`))
    ),
  ...overrides
})

const pace = { seconds: 1, rounds: 2, warmup: 3 }
const one = () => Effect.succeed({ "calls/s": 1, "calls/CPU-s": 2 })
const quiet = Effect.provide(TestConsole.layer)

describe("Bench", () => {
  it.effect("checks, warms up, alternates, checks again and closes", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { failures, measured } = yield* Bench.run(make(log, {}, one), pace)
      const expected = [
        "open a, check a, open b, check b",
        "a load 3, b load 3",
        "a load 1, b load 1, a load 1, b load 1",
        "check a, check b, close b, close a"
      ]
      assert.deepStrictEqual(log, expected.join(", ").split(", "))
      assert.deepStrictEqual(failures, [])
      assert.deepStrictEqual(
        measured.map(({ samples, unit }) => [unit, [...samples]]),
        [
          [
            "calls/s",
            [
              ["a", [1, 1]],
              ["b", [1, 1]]
            ]
          ],
          [
            "calls/CPU-s",
            [
              ["a", [2, 2]],
              ["b", [2, 2]]
            ]
          ]
        ]
      )
    }).pipe(quiet)
  )

  it.effect("neither warms up nor goes round more often than the bench wants", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      yield* Bench.run(make(log, { warm: false, rounds: 1, subjects: [subject("a")] }, one), pace)
      assert.deepStrictEqual(log, ["open a", "check a", "a load 1", "check a", "close a"])
    }).pipe(quiet)
  )

  it.effect("skips a subject without its program, by name and reason", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { failures, measured } = yield* Bench.run(make(log, { subjects: [subject("a"), subject("go", "no go on PATH")] }, one), pace)
      assert.notInclude(log, "open go")
      assert.deepStrictEqual(failures, [])
      assert.deepStrictEqual([...measured[0]!.skipped], [["go", "no go on PATH"]])
    }).pipe(quiet)
  )

  it.effect("drops a subject that fails in the middle, with the figures that it had", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let turns = 0
      const bench = make(log, {}, one)
      const failing: Bench.Bench = {
        ...bench,
        open: (opened) =>
          Effect.map(bench.open(opened), (turn) =>
            opened.name === "a"
              ? turn
              : { ...turn, measure: (load, seconds) => (++turns < 3 ? turn.measure(load, seconds) : Effect.fail(failed("gone"))) }
          )
      }
      const { failures, measured } = yield* Bench.run(failing, pace)
      assert.strictEqual(turns, 3)
      assert.deepStrictEqual(failures, ["bench b"])
      assert.deepStrictEqual([...measured[0]!.samples], [["a", [1, 1]]])
      const said = yield* TestConsole.errorLines
      assert.include(said, "bench b: gone")
    }).pipe(quiet)
  )
})
