/**
 * Puts the identity of the app on everything that is exported. Exporters are built before the app says who it is, so the resource is put in when a batch
 * is written; the unit of a metric, which Effect keeps among its attributes, leaves them there.
 */
import type { AppInfo } from "@effect-kratos/core/Lifecycle"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as Layer from "effect/Layer"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { TraceData } from "effect/observability/OtlpTracer"
import type { Otlp, Settings } from "./Settings.ts"
import * as SpanEncoder from "./SpanEncoder.ts"

/** What the resource says: `OTEL_SERVICE_NAME` first, then `OTEL_RESOURCE_ATTRIBUTES`, then the app. */
export const attributes = (
  { resource, serviceName }: Pick<Settings, "resource" | "serviceName">,
  { id, name, version }: AppInfo
): Readonly<Record<string, string>> => ({
  "service.name": name === "unknown" ? "unknown_service:node" : name,
  ...(version === "" ? undefined : { "service.version": version }),
  ...(id === "" ? undefined : { "service.instance.id": id }),
  ...resource,
  ...(serviceName === undefined ? undefined : { "service.name": serviceName })
})

/** What exporters are built with until then. */
export const placeholder = { serviceName: "unknown_service:node" }

/** A serialization whose batches have the resource of the app. */
export const layer = (
  protocol: Otlp["protocol"],
  settings: Pick<Settings, "resource" | "serviceName">,
  app: () => AppInfo
): Layer.Layer<OtlpSerialization.OtlpSerialization> =>
  Layer.effect(
    OtlpSerialization.OtlpSerialization,
    Effect.map(OtlpSerialization.OtlpSerialization, (serialization) => {
      let known: { readonly app: AppInfo; readonly resource: OtlpResource.Resource } | undefined
      const resource = (): OtlpResource.Resource => {
        const info = app()
        if (known?.app !== info) known = { app: info, resource: OtlpResource.make({ attributes: { ...attributes(settings, info) } }) }
        return known.resource
      }
      const encode = SpanEncoder.make()
      const traces = (data: TraceData): HttpBody.HttpBody =>
        protocol === "http/json" ? serialization.traces(data) : HttpBody.uint8Array(encode(data), "application/x-protobuf")
      return OtlpSerialization.OtlpSerialization.of({
        traces: ({ resourceSpans }) => traces({ resourceSpans: resourceSpans.map((one) => ({ ...one, resource: resource() })) }),
        metrics: ({ resourceMetrics }) => {
          for (const { scopeMetrics } of resourceMetrics) for (const scope of scopeMetrics) clean(scope)
          return serialization.metrics({ resourceMetrics: resourceMetrics.map((one) => ({ ...one, resource: resource() })) })
        },
        logs: ({ resourceLogs }) => serialization.logs({ resourceLogs: resourceLogs.map((one) => ({ ...one, resource: resource() })) })
      })
    })
  ).pipe(Layer.provide(protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf))

interface Points {
  readonly dataPoints: ReadonlyArray<{ attributes?: Array<OtlpResource.KeyValue> }>
}

interface Scope {
  readonly scope?: { name: string }
  readonly metrics?: ReadonlyArray<{
    readonly histogram?: Points
    readonly sum?: Points
    readonly gauge?: Points
    readonly summary?: Points
  }>
}

/** A batch belongs to whoever writes it: it is made anew for each export. */
const clean = ({ metrics = [], scope }: Scope): void => {
  if (scope !== undefined) scope.name = "effect"
  for (const { gauge, histogram, sum, summary } of metrics) {
    for (const point of (histogram ?? sum ?? gauge ?? summary)?.dataPoints ?? []) {
      point.attributes = (point.attributes ?? []).filter(({ key }) => key !== "unit" && key !== "time_unit")
    }
  }
}
