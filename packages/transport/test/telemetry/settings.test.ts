/** What `OTEL_*` variables mean, and which are refused. */
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Resource from "../../src/telemetry/Resource.ts"
import * as Settings from "../../src/telemetry/Settings.ts"

const read = (env: Readonly<Record<string, string>>) =>
  Effect.provide(Settings.read, ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
const settings = (env: Readonly<Record<string, string>>) => Effect.map(read(env), (found) => found!)
const otlp = (found: Settings.Settings) => found.traces.exporter as Settings.Otlp

describe("OTEL_* variables", () => {
  it.effect("ask for nothing when there are none", () =>
    Effect.gen(function* () {
      const found = yield* settings({ OTEL_SERVICE_NAME: "" })
      assert.deepStrictEqual(
        [found.traces.exporter, found.metrics.otlp, found.logs.otlp, found.metrics.prometheus, found.serviceName],
        ["none", undefined, undefined, undefined, undefined]
      )
      assert.deepStrictEqual(found.propagators, { traceContext: true, baggage: true, b3: "read" })
      assert.isUndefined(yield* read({ OTEL_SDK_DISABLED: "TRUE", OTEL_TRACES_SAMPLER: "nonsense" }))
    })
  )

  it.effect("send all signals to one endpoint, or each to its own", () =>
    Effect.gen(function* () {
      const one = yield* settings({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318/base/" })
      assert.deepStrictEqual(
        [otlp(one).url, one.metrics.otlp!.url, one.logs.otlp!.url],
        ["http://c:4318/base/v1/traces", "http://c:4318/base/v1/metrics", "http://c:4318/base/v1/logs"]
      )
      assert.deepStrictEqual([otlp(one).protocol, otlp(one).timeout, otlp(one).compression], ["http/protobuf", 10_000, "none"])
      const own = yield* settings({
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://t/as/is",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "500",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_METRICS_EXPORTER: "prometheus,console",
        OTEL_LOGS_EXPORTER: "none"
      })
      assert.deepStrictEqual(
        [otlp(own).url, otlp(own).protocol, otlp(own).timeout, otlp(own).compression],
        ["https://t/as/is", "http/json", 500, "gzip"]
      )
      assert.deepStrictEqual([own.metrics.otlp, own.metrics.console, own.logs.otlp], [undefined, true, undefined])
      assert.deepStrictEqual(own.metrics.prometheus, { host: "localhost", port: 9464 })
      assert.strictEqual(otlp(yield* settings({ OTEL_TRACES_EXPORTER: "otlp" })).url, "http://localhost:4318/v1/traces")
    })
  )

  it.effect("keep headers secret", () =>
    Effect.gen(function* () {
      const found = yield* settings({
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://c",
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hunter2, x = 1",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS: "l=2"
      })
      assert.deepStrictEqual(Redacted.value(otlp(found).headers), { authorization: "Bearer hunter2", x: "1" })
      assert.deepStrictEqual(Redacted.value(found.logs.otlp!.headers), { l: "2" })
      assert.notInclude(JSON.stringify(found) + String(otlp(found).headers), "hunter2")
      const error = yield* Effect.flip(read({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_EXPORTER_OTLP_HEADERS: "hunter2" }))
      assert.notInclude(JSON.stringify(error) + error.message, "hunter2")
    })
  )

  it.effect("know all samplers, batches and propagators", () =>
    Effect.gen(function* () {
      const sampler = (env: Readonly<Record<string, string>>) => Effect.map(settings(env), ({ traces }) => traces.sampler)
      assert.deepStrictEqual(yield* sampler({}), { root: "on", parentBased: true })
      assert.deepStrictEqual(yield* sampler({ OTEL_TRACES_SAMPLER: "always_off" }), { root: "off", parentBased: false })
      assert.deepStrictEqual(yield* sampler({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" }), {
        root: "ratio",
        ratio: 0.25,
        parentBased: true
      })
      const found = yield* settings({
        OTEL_BSP_SCHEDULE_DELAY: "100",
        OTEL_BSP_MAX_QUEUE_SIZE: "100",
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: "7",
        OTEL_METRIC_EXPORT_INTERVAL: "1500",
        OTEL_PROPAGATORS: "tracecontext,b3multi"
      })
      assert.deepStrictEqual(found.traces.batch, { delay: 100, maxQueue: 100, maxBatch: 100 })
      assert.deepStrictEqual(found.logs.batch, { delay: 1000, maxQueue: 2048, maxBatch: 7 })
      assert.strictEqual(found.metrics.interval, 1500)
      assert.deepStrictEqual(found.propagators, { traceContext: true, baggage: false, b3: "multi" })
    })
  )

  it.effect("are refused by name where they cannot be followed", () =>
    Effect.gen(function* () {
      const refused: ReadonlyArray<readonly [string, Readonly<Record<string, string>>]> = [
        ["OTEL_EXPORTER_OTLP_PROTOCOL", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }],
        ["OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", { OTEL_LOGS_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http" }],
        ["OTEL_EXPORTER_OTLP_ENDPOINT", { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" }],
        ["OTEL_TRACES_EXPORTER", { OTEL_TRACES_EXPORTER: "jaeger" }],
        ["OTEL_TRACES_EXPORTER", { OTEL_TRACES_EXPORTER: "otlp,console" }],
        ["OTEL_TRACES_SAMPLER", { OTEL_TRACES_SAMPLER: "sometimes" }],
        ["OTEL_TRACES_SAMPLER_ARG", { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" }],
        ["OTEL_BSP_SCHEDULE_DELAY", { OTEL_BSP_SCHEDULE_DELAY: "5s" }],
        ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE", { OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "5000" }],
        ["OTEL_METRIC_EXPORT_INTERVAL", { OTEL_METRIC_EXPORT_INTERVAL: "0" }],
        ["OTEL_EXPORTER_PROMETHEUS_PORT", { OTEL_METRICS_EXPORTER: "prometheus", OTEL_EXPORTER_PROMETHEUS_PORT: "70000" }],
        ["OTEL_RESOURCE_ATTRIBUTES", { OTEL_RESOURCE_ATTRIBUTES: "a=%zz" }],
        ["OTEL_PROPAGATORS", { OTEL_PROPAGATORS: "xray" }]
      ]
      for (const [variable, env] of refused) {
        const error = yield* Effect.flip(read(env))
        assert.deepStrictEqual([error._tag, error.variable], ["TelemetryError", variable])
        assert.include(error.message, variable)
      }
    })
  )

  it("name the service before the app does", () => {
    const app = { id: "1", name: "users", version: "2", metadata: {}, endpoints: [] }
    const of = (serviceName: string | undefined, resource: Record<string, string>) => Resource.attributes({ serviceName, resource }, app)
    assert.deepStrictEqual(of(undefined, {}), { "service.name": "users", "service.version": "2", "service.instance.id": "1" })
    assert.strictEqual(of(undefined, { "service.name": "r" })["service.name"], "r")
    assert.deepInclude(of("env", { "service.name": "r", "deployment.environment.name": "prod" }), {
      "service.name": "env",
      "deployment.environment.name": "prod"
    })
  })
})
