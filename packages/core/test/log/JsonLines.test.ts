import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as JsonLines from "../../src/log/JsonLines.ts"

/** What an effect logs, line by line. */
const linesOf = (effect: Effect.Effect<unknown, unknown>) => {
  const lines: Array<string> = []
  return Effect.as(
    Effect.provide(Effect.ignore(effect), Logger.layer([Logger.map(JsonLines.make(), (line) => void lines.push(line))])),
    lines
  )
}

describe("JsonLines", () => {
  it.effect("writes flat lines as slog does", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1000)
      const fields = { kind: "server", code: 200, ok: true, latency: 0.5, tags: ["a"], none: undefined, odd: Number.NaN }
      const lines = yield* linesOf(Effect.logInfo("server request").pipe(Effect.annotateLogs(fields)))
      assert.deepStrictEqual(
        lines.map((line) => JSON.parse(line) as unknown),
        [
          {
            time: "1970-01-01T00:00:01.000Z",
            level: "INFO",
            msg: "server request",
            kind: "server",
            code: 200,
            ok: true,
            latency: 0.5,
            tags: ["a"],
            none: null,
            odd: null
          }
        ]
      )
    })
  )

  it.effect.prop(
    "writes numbers so that they are read as they were, whole nanoseconds among them",
    [Schema.Finite, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2_000_000_000 }))],
    ([number, nanos]) =>
      Effect.gen(function* () {
        const fields = { number, seconds: nanos / 1e9, short: 0.25, least: 1e-9, below: 1e-10, zero: -0 }
        const [line] = yield* linesOf(Effect.log("").pipe(Effect.annotateLogs(fields)))
        assert.deepInclude(JSON.parse(line!), { ...fields, number: number + 0, zero: 0 })
        assert.include(line, '"short":0.25,"least":0.000000001,"below":1e-10,')
      })
  )

  it.effect("is one line of valid JSON whatever is logged, and shows no secrets", () =>
    Effect.gen(function* () {
      const cycle: Record<string, unknown> = { name: "cycle" }
      cycle["self"] = cycle
      const secret = Redacted.make("hunter2")
      const lines = yield* linesOf(
        Effect.gen(function* () {
          yield* Effect.logWarning('"quoted"\n', cycle, secret)
          yield* Effect.logError({ secret }, Cause.fail(new Error("broken")))
          yield* Effect.log("annotated").pipe(
            Effect.annotateLogs({ secret, deep: { secret }, 'a"b': 'c"\u2028d', level: "ERROR", msg: "forged" }),
            Effect.withLogSpan("span")
          )
        })
      )
      assert.lengthOf(lines, 3)
      for (const line of lines) {
        assert.notInclude(line, "\n")
        assert.notInclude(line, "hunter2")
      }
      const [first, second, third] = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      assert.deepInclude(first, { level: "WARN", msg: '"quoted"\n' })
      assert.include(String(second?.["cause"]), "broken")
      assert.deepInclude(third, {
        'a"b': 'c"\u2028d',
        level: "INFO",
        msg: "annotated",
        "field.level": "ERROR",
        "field.msg": "forged",
        span: 0
      })
    })
  )
})
