/**
 * Traces, metrics and logs over OTLP, as the environment says: one layer under a program, made from `OTEL_*` variables. Without any it does nothing. What is
 * observed is up to the aspects Tracing, Metrics and Logging, and to the program's own spans, metrics and log lines.
 *
 * A collector that is slow, hangs or is gone costs the program nothing but what it would have been told: queues are bounded, batches are dropped and
 * the loss is one line of the log. The stop waits for the last batch up to `shutdownTimeout`.
 */
import * as TraceHeaders from "@effect-kratos/core/aspect/TraceHeaders"
import { Lifecycle } from "@effect-kratos/core/Lifecycle"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import type * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import * as ConsoleExport from "./telemetry/ConsoleExport.ts"
import * as Delivery from "./telemetry/Delivery.ts"
import * as PrometheusServer from "./telemetry/PrometheusServer.ts"
import * as Resource from "./telemetry/Resource.ts"
import * as Sampling from "./telemetry/Sampling.ts"
import * as Settings from "./telemetry/Settings.ts"
import { TelemetryError } from "./telemetry/TelemetryError.ts"

export { TelemetryError }

export interface Options {
  /** How long a stop waits for the last batch of each signal. Default 3 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Sends the batches. Default: Node's `fetch`. */
  readonly client?: Layer.Layer<HttpClient.HttpClient> | undefined
}

/**
 * Installs what `OTEL_*` variables ask for; `docs/observability.md` lists them. Fails with the variable that it cannot follow. Belongs under everything that is
 * observed, and above the layer of loggers, to which the exporting one is added.
 */
export const layer = (options: Options = {}): Layer.Layer<OtlpExporter.Flusher, TelemetryError> =>
  Layer.unwrap(
    Effect.map(Settings.read, (settings) =>
      settings === undefined
        ? OtlpExporter.layerFlusher
        : Layer.mergeAll(
            OtlpExporter.layerFlusher,
            Layer.succeed(TraceHeaders.Propagators, settings.propagators),
            traces(settings, options),
            ...metrics(settings, options),
            ...logs(settings, options)
          )
    )
  )

type Installed = Layer.Layer<never, TelemetryError>

const traces = (settings: Settings.Settings, options: Options): Installed => {
  const { batch, exporter, sampler } = settings.traces
  if (exporter === "none") return Layer.empty
  const install = <R>(tracer: Effect.Effect<Tracer.Tracer, never, R>) =>
    Layer.effect(
      Tracer.Tracer,
      Effect.map(tracer, (inner) => Sampling.sampled(inner, sampler))
    )
  if (exporter === "console") return install(ConsoleExport.tracer)
  const { compression, headers, url } = exporter
  return install(
    OtlpTracer.make({
      url,
      compression,
      headers: Redacted.value(headers),
      resource: Resource.placeholder,
      exportInterval: Duration.millis(batch.delay),
      maxBatchSize: batch.maxBatch,
      shutdownTimeout: options.shutdownTimeout
    })
  ).pipe(Layer.provide(wire("spans", exporter, inFlight(batch), settings, options)))
}

const metrics = (settings: Settings.Settings, options: Options): ReadonlyArray<Installed> => {
  const { console, interval, otlp, prometheus } = settings.metrics
  const installed: Array<Installed> = []
  if (otlp !== undefined) {
    const exporting = OtlpMetrics.make({
      url: otlp.url,
      compression: otlp.compression,
      headers: Redacted.value(otlp.headers),
      resource: Resource.placeholder,
      exportInterval: Duration.millis(interval),
      shutdownTimeout: options.shutdownTimeout
    })
    installed.push(Layer.effectDiscard(exporting).pipe(Layer.provide(wire("metrics", otlp, 1, settings, options))))
  }
  if (console) installed.push(ConsoleExport.metrics(Duration.millis(interval)))
  if (prometheus !== undefined) installed.push(PrometheusServer.layer(prometheus))
  return installed
}

const logs = (settings: Settings.Settings, options: Options): ReadonlyArray<Installed> => {
  const { batch, otlp } = settings.logs
  if (otlp === undefined) return []
  const exporting = OtlpLogger.layer({
    url: otlp.url,
    compression: otlp.compression,
    headers: Redacted.value(otlp.headers),
    resource: Resource.placeholder,
    exportInterval: Duration.millis(batch.delay),
    maxBatchSize: batch.maxBatch,
    shutdownTimeout: options.shutdownTimeout
  })
  return [exporting.pipe(Layer.provide(wire("log lines", otlp, inFlight(batch), settings, options)))]
}

/** Batches on their way hold what a queue of that size would. */
const inFlight = ({ maxBatch, maxQueue }: Settings.Batch): number => Math.max(1, Math.floor(maxQueue / maxBatch))

/** What an exporter of Effect's needs: a way to the collector, and the form of what it sends. */
const wire = (
  signal: string,
  { protocol, timeout }: Settings.Otlp,
  maxInFlight: number,
  settings: Settings.Settings,
  options: Options
): Layer.Layer<HttpClient.HttpClient | OtlpSerialization.OtlpSerialization | OtlpExporter.Flusher> => {
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.flatMap(HttpClient.HttpClient, (inner) => Delivery.make(inner, { signal, timeout: Duration.millis(timeout), maxInFlight }))
  ).pipe(Layer.provide(options.client ?? FetchHttpClient.layer))
  const serialization = Layer.unwrap(Effect.map(Lifecycle, ({ infoUnsafe }) => Resource.layer(protocol, settings, infoUnsafe))).pipe(
    Layer.provide(Lifecycle.layer)
  )
  return Layer.mergeAll(Layer.fresh(client), serialization, OtlpExporter.layerFlusher)
}
