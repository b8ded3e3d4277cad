import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Prometheus from "../../src/metric/Prometheus.ts"
import * as Series from "../../src/metric/Series.ts"

const format = (options?: Prometheus.Options) => Effect.map(Effect.context<never>(), (services) => Prometheus.format(services, options))

describe("Prometheus", () => {
  it.effect("writes each type of metric as Prometheus reads it", () =>
    Effect.gen(function* () {
      const registry = yield* Metric.MetricRegistry
      const calls = Series.histogram(
        registry,
        { id: "rpc.call.duration", description: "d\nd", attributes: { unit: "s", "rpc.method": 'a"b\\' } },
        [0.5, 1]
      )
      for (const value of [0.25, 0.5, 2]) calls.record(value)
      calls.exemplify(0, { value: 0.25, traceId: "t", spanId: "s", time: 1500 })
      Series.counter(registry, { id: "done_total", description: "", attributes: {} }).add()
      yield* Metric.update(Metric.gauge("0.open", { description: "open" }), 3)
      yield* Metric.update(Metric.counter("updown"), -2)
      yield* Metric.update(Metric.frequency("words"), "a")
      yield* Metric.update(Metric.histogram("effect", { boundaries: [1], attributes: { time_unit: "milliseconds" } }), 1)
      const text = yield* format()
      assert.deepStrictEqual(text.split("\n"), [
        "# HELP rpc_call_duration_seconds d\\nd",
        "# TYPE rpc_call_duration_seconds histogram",
        'rpc_call_duration_seconds_bucket{rpc_method="a\\"b\\\\",le="0.5"} 2',
        'rpc_call_duration_seconds_bucket{rpc_method="a\\"b\\\\",le="1"} 2',
        'rpc_call_duration_seconds_bucket{rpc_method="a\\"b\\\\",le="+Inf"} 3',
        'rpc_call_duration_seconds_sum{rpc_method="a\\"b\\\\"} 2.75',
        'rpc_call_duration_seconds_count{rpc_method="a\\"b\\\\"} 3',
        "# HELP done_total done_total",
        "# TYPE done_total counter",
        "done_total 1",
        "# HELP _0_open open",
        "# TYPE _0_open gauge",
        "_0_open 3",
        "# HELP updown updown",
        "# TYPE updown gauge",
        "updown -2",
        "# HELP words_total words_total",
        "# TYPE words_total counter",
        'words_total{key="a"} 1',
        "# HELP effect_milliseconds effect_milliseconds",
        "# TYPE effect_milliseconds histogram",
        'effect_milliseconds_bucket{le="1"} 1',
        'effect_milliseconds_bucket{le="+Inf"} 1',
        "effect_milliseconds_sum 1",
        "effect_milliseconds_count 1",
        ""
      ])
      const open = (yield* format({ format: "openmetrics", prefix: "app" })).split("\n")
      assert.includeMembers(open, [
        "# TYPE app_rpc_call_duration_seconds histogram",
        "# UNIT app_rpc_call_duration_seconds seconds",
        'app_rpc_call_duration_seconds_bucket{rpc_method="a\\"b\\\\",le="0.5"} 2 # {trace_id="t",span_id="s"} 0.25 1.500',
        'app_rpc_call_duration_seconds_bucket{rpc_method="a\\"b\\\\",le="1.0"} 2',
        "# TYPE app_done counter",
        "app_done_total 1"
      ])
      assert.strictEqual(open.at(-2), "# EOF")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("keeps the page readable when names or labels fall together", () =>
    Effect.gen(function* () {
      yield* Metric.update(Metric.gauge("a.b"), 1)
      yield* Metric.update(Metric.counter("a_b"), 2)
      yield* Metric.update(Metric.histogram("a-b", { boundaries: [1] }), 2)
      assert.deepStrictEqual((yield* format()).split("\n"), ["# HELP a_b a_b", "# TYPE a_b gauge", "a_b 1", ""])
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it("gives OpenMetrics to those who ask for it", () => {
    assert.strictEqual(Prometheus.negotiate(undefined), "text")
    assert.strictEqual(Prometheus.negotiate("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), "text")
    assert.strictEqual(Prometheus.negotiate("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"), "openmetrics")
  })
})
