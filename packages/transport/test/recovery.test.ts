/** A handler that breaks, in each kind of method: what the caller gets, and that it is told once, with everything around it still observing. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { implement, join } from "./Harness.ts"

const bug = new Error("password: hunter2")
const breaks = Effect.die(bug)
const broken = implement({
  unary: () => breaks,
  clientStream: () => breaks,
  serverStream: () => Stream.concat(Stream.make({ text: "first" }), Stream.fromEffect(breaks)),
  bidi: (requests) =>
    Stream.concat(
      Stream.map(requests, ({ text }) => ({ text })),
      Stream.fromEffect(breaks)
    )
})

const observed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const registry: Metric.MetricRegistry = new Map()
    yield* Effect.scoped(effect).pipe(
      Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])),
      Effect.provideService(Tracer.Tracer, tracer),
      Effect.provideService(Metric.MetricRegistry, registry)
    )
    const snapshot = Metric.snapshotUnsafe(Context.make(Metric.MetricRegistry, registry))
    const counts = snapshot.map(({ attributes, state }) => [attributes, (state as Metric.HistogramState).count] as const) // all are histograms
    return { lines, spans, counts: counts.filter(([, count]) => count > 0) }
  })

describe("Recovery over the wire", () => {
  it.effect("on a server: 500 UNKNOWN in all four kinds, behind what was sent before", () =>
    Effect.gen(function* () {
      const aspects = Aspect.compose(Tracing.server, Metrics.server, Logging.server, Recovery.server)
      const seen: Array<string> = []
      const { counts, lines, spans } = yield* observed(
        Effect.gen(function* () {
          const { echo } = yield* join({ implementation: broken, aspects })
          const note = ({ text }: { readonly text: string }) => Effect.sync(() => void seen.push(text))
          const errors = [
            yield* Effect.flip(echo.unary({})),
            yield* Effect.flip(echo.clientStream(Stream.make({ text: "a" }))),
            yield* Effect.flip(Stream.runForEach(echo.serverStream({}), note)),
            yield* Effect.flip(Stream.runForEach(echo.bidi(Stream.make({ text: "second" })), note))
          ]
          for (const error of errors) {
            assert.deepStrictEqual(
              [KratosError.code(error), KratosError.reason(error), error.message],
              [500, "UNKNOWN", "unknown request error"]
            )
          }
        })
      )
      assert.deepStrictEqual(seen, ["first", "second"])
      assert.lengthOf(
        lines.filter((line) => line === "defect recovered"),
        4
      )
      assert.lengthOf(
        lines.filter((line) => line === "server request"),
        4
      )
      assert.deepStrictEqual(
        spans.map(({ attributes, status }) => [attributes.get("error.type"), status._tag]),
        Array.from({ length: 4 }, () => ["UNKNOWN", "Ended"])
      )
      assert.deepStrictEqual(
        counts.map(([attributes, count]) => [attributes?.["error.type"], count]),
        Array.from({ length: 4 }, () => ["UNKNOWN", 1])
      )
    })
  )

  it.effect("on a client: a defect of an aspect inside becomes a failure of the call, in all four kinds", () =>
    Effect.gen(function* () {
      const dies: Aspect.Aspect = () => breaks
      yield* observed(
        Effect.gen(function* () {
          const { echo } = yield* join({ client: { aspects: Aspect.compose(Metrics.client, Recovery.make(), dies) } })
          const exits = [
            yield* Effect.exit(Effect.asVoid(echo.unary({}))),
            yield* Effect.exit(Effect.asVoid(echo.clientStream(Stream.make({ text: "a" })))),
            yield* Effect.exit(Stream.runDrain(echo.serverStream({}))),
            yield* Effect.exit(Stream.runDrain(echo.bidi(Stream.make({ text: "a" }))))
          ]
          for (const exit of exits) {
            const error = Exit.isFailure(exit) && !Cause.hasDies(exit.cause) ? Cause.squash(exit.cause) : undefined
            assert.strictEqual(KratosError.reason(error), "UNKNOWN")
          }
        })
      )
    })
  )
})
