/** The page that Prometheus reads. */
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { join } from "./Harness.ts"
import { versions } from "./RawHttp.ts"

const fresh = Effect.provideService(Metric.MetricRegistry, new Map())

describe("/metrics", () => {
  it.effect("shows the calls of all four kinds, over both versions of HTTP", () =>
    Effect.gen(function* () {
      const server = yield* join({ aspects: Metrics.server, metrics: true })
      const { echo } = server
      yield* echo.unary({ text: "a" })
      yield* Effect.ignore(echo.unary({ failReason: "THING_NOT_FOUND" }))
      yield* echo.clientStream(Stream.make({ text: "a" }))
      yield* Stream.runDrain(echo.serverStream({ count: 3 }))
      yield* Stream.runDrain(echo.bidi(Stream.make({ text: "a" })))
      for (const { send } of versions) {
        const reply = yield* send(server)("GET", "/metrics?debug=1")
        assert.strictEqual(reply.status, 200)
        for (const method of ["Unary", "ClientStream", "ServerStream", "Bidi"]) {
          const labels = `rpc_method="test.v1.Echo/${method}",rpc_response_status_code="OK",rpc_system_name="grpc"`
          assert.include(reply.body, `rpc_server_call_duration_seconds_count{${labels}} 1\n`)
        }
        assert.include(reply.body, `error_type="THING_NOT_FOUND"`)
        assert.notStrictEqual((yield* send(server)("POST", "/metrics")).status, 200)
      }
    }).pipe(fresh, Effect.scoped)
  )

  it.effect("is not there unless it was asked for", () =>
    Effect.gen(function* () {
      const server = yield* join({ aspects: Metrics.server })
      assert.strictEqual((yield* versions[0]!.send(server)("GET", "/metrics")).status, 404)
      const elsewhere = yield* join({ metrics: { path: "/internal/metrics", prefix: "shop" } })
      yield* Metric.update(Metric.counter("orders", { incremental: true }), 2)
      assert.include((yield* versions[0]!.send(elsewhere)("GET", "/internal/metrics")).body, "shop_orders_total 2\n")
    }).pipe(fresh, Effect.scoped)
  )
})
