/** What a server shows to Prometheus is judged by Prometheus' own tool, in both forms. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import { execFileSync, spawnSync } from "node:child_process"
import { join, sockets } from "./Harness.ts"

const promtool = (() => {
  try {
    execFileSync("promtool", ["--version"], { stdio: "pipe" })
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!promtool)("/metrics (needs promtool)", () => {
  it.live("passes `promtool check metrics`", () =>
    Effect.gen(function* () {
      const aspects = Aspect.compose(Tracing.server, Metrics.makeServer({ names: "both" }))
      const { address, echo } = yield* join({ wire: sockets, aspects, metrics: true })
      yield* echo.unary({ text: "a" })
      yield* Effect.ignore(echo.unary({ failReason: "THING_NOT_FOUND" }))
      const read = (accept: string) =>
        Effect.promise(async () => {
          const reply = await fetch(`http://127.0.0.1:${address.port}/metrics`, { headers: { accept } })
          return { type: reply.headers.get("content-type")!, text: await reply.text() }
        })
      const plain = yield* read("text/plain")
      const found = spawnSync("promtool", ["check", "metrics"], { input: plain.text, encoding: "utf8" })
      assert.deepStrictEqual([found.status, found.stdout, found.stderr], [0, "", ""])
      const open = yield* read("application/openmetrics-text; version=1.0.0")
      assert.include(open.type, "application/openmetrics-text")
      assert.match(open.text, /_bucket\{.*\} \d+ # \{trace_id="[0-9a-f]{32}",span_id="[0-9a-f]{16}"\} /)
      assert.isTrue(open.text.endsWith("# EOF\n"))
    }).pipe(
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })),
      Effect.scoped
    )
  )
})
