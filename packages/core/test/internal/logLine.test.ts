import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import { logLine } from "../../src/internal/logLine.ts"

/** What a logger sees of a line, when it sees it: a fiber that has ended knows nothing any more. */
const seen = (line: Logger.Options<unknown>) => ({
  line: { ...line, fiber: undefined },
  annotations: line.fiber.getRef(References.CurrentLogAnnotations),
  spans: line.fiber.getRef(References.CurrentLogSpans),
  level: line.fiber.getRef(References.MinimumLogLevel),
  cache: line.fiber.cache,
  fiber: line.fiber
})

/** The line that a fiber logs, and the one that is written without. */
const both = Effect.fnUntraced(function* (cause?: Cause.Cause<unknown>) {
  const lines: Array<ReturnType<typeof seen>> = []
  const collect = Logger.layer([Logger.make((line) => void lines.push(seen(line)))])
  yield* Effect.gen(function* () {
    yield* cause === undefined ? Effect.logWarning("text") : Effect.logWarning("text", cause)
    logLine(yield* Effect.context<never>(), "Warn", "text", { a: 1 }, cause)
  }).pipe(Effect.annotateLogs({ a: 1 }), Effect.withLogSpan("span"), Effect.withSpan("around"), Effect.provide(collect))
  return [lines[0]!, lines[1]!] as const // one of each
})

describe("logLine", () => {
  it.effect("hands loggers what a fiber does", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      for (const cause of [undefined, Cause.die("bug")]) {
        const [expected, line] = yield* both(cause)
        for (const part of ["line", "annotations", "spans", "level"] as const) assert.deepStrictEqual(line[part], expected[part], part)
        for (const key of Object.keys(expected.cache) as ReadonlyArray<keyof Fiber.Fiber.Cache>)
          assert.strictEqual(line.cache[key], expected.cache[key], key)
        assert.strictEqual(line.cache.span?._tag, "Span")
      }
    })
  )

  it.effect("comes with a fiber that has ended", () =>
    Effect.gen(function* () {
      const [, { fiber }] = yield* both()
      assert.isTrue(Fiber.isFiber(fiber))
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.void)
      fiber.interruptUnsafe()
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.void)
      fiber.setContext(Context.empty())
      assert.deepStrictEqual(fiber.getRef(References.CurrentLogAnnotations), {})
    })
  )

  it.effect("reaches the other loggers when one throws", () =>
    Effect.gen(function* () {
      let reached = 0
      const broken = Logger.make(() => {
        throw new Error("broken")
      })
      const layer = Logger.layer([broken, Logger.make(() => void reached++)])
      const services = yield* Effect.provide(Effect.context<never>(), layer)
      logLine(services, "Info", "text", {})
      assert.strictEqual(reached, 1)
    })
  )
})
