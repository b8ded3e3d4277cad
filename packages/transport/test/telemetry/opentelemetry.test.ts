/** The same aspects over OpenTelemetry's own SDK, through `@effect/opentelemetry`. */
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as Resource from "@effect/opentelemetry/Resource"
import { assert, describe, it } from "@effect/vitest"
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { join } from "../Harness.ts"

describe("@effect/opentelemetry", () => {
  it.effect("records the calls of all four kinds, server below client, streams linked where that is asked for", () =>
    Effect.gen(function* () {
      const exporter = new InMemorySpanExporter()
      const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
      const telemetry = OtelTracer.layer.pipe(
        Layer.provide(Layer.succeed(OtelTracer.OtelTracerProvider, provider)),
        Layer.provide(Resource.layer({ serviceName: "echo" }))
      )
      yield* Effect.gen(function* () {
        const aspects = Tracing.makeServer({ join: Tracing.linkStreams })
        const { echo } = yield* join({ aspects, client: { aspects: Tracing.client } })
        yield* echo.unary({ text: "a" })
        yield* echo.clientStream(Stream.make({ text: "a" }))
        yield* Stream.runDrain(echo.serverStream({ count: 2 }))
        yield* Stream.runDrain(echo.bidi(Stream.make({ text: "a" })))
        yield* Effect.ignore(echo.unary({ failReason: "THING_NOT_FOUND" }))
      }).pipe(Effect.scoped, Effect.provide(telemetry))
      yield* Effect.promise(() => provider.forceFlush())
      const spans = exporter.getFinishedSpans()
      const servers = spans.filter(({ kind }) => kind === SpanKind.SERVER)
      assert.lengthOf(servers, 5)
      assert.lengthOf(spans, 10)
      for (const server of servers) {
        const isUnary = server.name.endsWith("/Unary")
        const parentId = isUnary ? server.parentSpanContext?.spanId : server.links[0]?.context.spanId
        const caller = spans.find((span) => span.kind === SpanKind.CLIENT && span.spanContext().spanId === parentId)
        assert.strictEqual(caller?.name, server.name)
        assert.strictEqual(caller?.spanContext().traceId === server.spanContext().traceId, isUnary)
      }
      assert.includeMembers(
        servers.map(({ attributes, status }) => `${attributes["rpc.response.status_code"]} ${status.code}`),
        [`OK ${SpanStatusCode.OK}`, `NOT_FOUND ${SpanStatusCode.ERROR}`]
      )
      assert.isUndefined(trace.getActiveSpan())
    })
  )
})
