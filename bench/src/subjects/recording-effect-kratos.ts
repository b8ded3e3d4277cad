/** The same with traces and metrics: every call has a span, which leaves for a collector that takes it and forgets it. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as RateLimit from "@effect-kratos/core/aspect/RateLimit"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Telemetry from "@effect-kratos/transport/Telemetry"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import { serve } from "./guarded.ts"

const Collector = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}"))))
)

const environment = {
  OTEL_TRACES_EXPORTER: "otlp",
  OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example",
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_LOGS_EXPORTER: "none"
}

const Tracer = Telemetry.layer({ client: Collector }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))))

serve(
  Aspect.compose(Tracing.server, Metrics.server, Recovery.server, Logging.server, RateLimit.server),
  Layer.orDie(Layer.provideMerge(Layer.empty, Tracer))
)
