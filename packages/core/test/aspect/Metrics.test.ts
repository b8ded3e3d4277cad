import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import { TestClock } from "effect/testing"
import * as Aspect from "../../src/Aspect.ts"
import * as Metrics from "../../src/aspect/Metrics.ts"
import * as Tracing from "../../src/aspect/Tracing.ts"
import type { CallShape, Kind } from "../../src/Call.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import type { HistogramState } from "../../src/metric/Series.ts"
import * as CallFixture from "../CallFixture.ts"

const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Metric.MetricRegistry, new Map())

const run = (aspect: Aspect.Aspect, fields: Partial<CallShape>, handler: Effect.Effect<unknown, unknown>) =>
  CallFixture.runCompiled(CallFixture.make(fields), aspect, handler)

const series = Effect.map(Metric.snapshot, (all) => all.map(({ attributes, id, state }) => ({ id, attributes, state })))
const count = Effect.map(series, (all) =>
  all.map(({ attributes, id, state }) => [id, attributes, (state as { readonly count: number }).count])
)

describe("Metrics", () => {
  it.effect("adds the duration of each call to the histogram of its method and outcome", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) yield* run(Metrics.server, {}, TestClock.adjust("30 millis"))
      yield* run(Metrics.server, {}, Effect.fail(KratosError.notFound("USER_NOT_FOUND", "m")))
      yield* run(Metrics.server, {}, Effect.die("bug"))
      yield* run(Metrics.server, {}, Effect.interrupt)
      const method = { "rpc.system.name": "grpc", "rpc.method": "user.v1.Users/Get", unit: "s" }
      assert.deepStrictEqual(yield* count, [
        ["rpc.server.call.duration", { ...method, "rpc.response.status_code": "OK" }, 3],
        ["rpc.server.call.duration", { ...method, "rpc.response.status_code": "NOT_FOUND", "error.type": "USER_NOT_FOUND" }, 1],
        ["rpc.server.call.duration", { ...method, "rpc.response.status_code": "INTERNAL", "error.type": "INTERNAL" }, 1],
        ["rpc.server.call.duration", { ...method, "rpc.response.status_code": "CANCELLED", "error.type": "CANCELLED" }, 1]
      ])
      const { buckets, count: calls, max, min, sum } = (yield* series)[0]!.state as HistogramState
      assert.deepStrictEqual([calls, min, max], [3, 0.03, 0.03])
      assert.closeTo(sum, 0.09, 1e-12)
      assert.deepStrictEqual(
        buckets.map(([, cumulative]) => cumulative),
        [0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
      )
    }).pipe(fresh)
  )

  it.effect("counts all four kinds alike, on both sides", () =>
    Effect.gen(function* () {
      const kinds: ReadonlyArray<Kind> = ["unary", "client_streaming", "server_streaming", "bidi_streaming"]
      for (const kind of kinds) {
        yield* run(Metrics.server, { kind, method: kind, operation: `/user.v1.Users/${kind}` }, Effect.void)
        yield* run(
          Metrics.client,
          { side: "client", endpoint: "discovery:///users", kind, method: kind, operation: `/user.v1.Users/${kind}` },
          Effect.void
        )
      }
      const all = yield* series
      assert.deepStrictEqual(
        all.map(({ attributes, id }) => [id, attributes!["rpc.method"], attributes!["server.address"]]),
        kinds.flatMap((kind) => [
          ["rpc.server.call.duration", `user.v1.Users/${kind}`, undefined],
          ["rpc.client.call.duration", `user.v1.Users/${kind}`, "users"]
        ])
      )
    }).pipe(fresh)
  )

  it.effect("follows the conventions for HTTP where the wire is REST", () =>
    Effect.gen(function* () {
      const rest = { transport: "http", pathTemplate: "/users/{id}", httpMethod: "GET", endpoint: "http://a:1" }
      yield* run(Metrics.server, rest, Effect.fail(KratosError.notFound("R", "m")))
      yield* run(Metrics.server, rest, Effect.fail(KratosError.internalServer("BROKEN", "m")))
      const route = { "http.request.method": "GET", "http.route": "/users/{id}", "url.scheme": "http", unit: "s" }
      assert.deepStrictEqual((yield* count).slice(1), [
        ["http.server.request.duration", { ...route, "http.response.status_code": "404" }, 1],
        ["http.server.request.duration", { ...route, "http.response.status_code": "500", "error.type": "BROKEN" }, 1]
      ])
    }).pipe(fresh)
  )

  it.effect("has Kratos' names where they are asked for", () =>
    Effect.gen(function* () {
      const aspect = Metrics.makeServer({ names: "kratos" })
      yield* run(aspect, {}, Effect.void)
      yield* run(aspect, {}, Effect.fail(KratosError.conflict("TAKEN", "m")))
      const of = { kind: "grpc", operation: "/user.v1.Users/Get" }
      assert.deepStrictEqual(yield* count, [
        ["server_requests_seconds", { ...of, unit: "s" }, 2],
        ["server_requests_code_total", { ...of, code: "200", reason: "" }, 1],
        ["server_requests_code_total", { ...of, code: "409", reason: "TAKEN" }, 1]
      ])
      yield* run(Metrics.makeServer({ names: "both" }), {}, Effect.void)
      assert.includeMembers(
        (yield* series).map(({ id }) => id),
        ["rpc.server.call.duration", "server_requests_seconds"]
      )
      assert.deepStrictEqual((yield* count)[0]![2], 3)
    }).pipe(fresh)
  )

  it.effect("does not grow with what peers choose", () =>
    Effect.gen(function* () {
      const aspect = Metrics.makeClient({ maxOperations: 3, maxOutcomes: 4 })
      for (let i = 0; i < 200; i++) {
        yield* run(aspect, {}, Effect.fail(KratosError.conflict(`REASON_${i}`, "m")))
        yield* run(aspect, { operation: `/a.B/C${i}`, method: `C${i}`, service: "a.B" }, Effect.void)
      }
      const all = yield* count
      assert.isBelow(all.length, 20)
      const total = all.reduce((sum, [, , calls]) => sum + (calls as number), 0)
      assert.strictEqual(total, 400)
      const other = all.filter(([, attributes]) => Object.values(attributes as object).includes("_OTHER"))
      assert.deepStrictEqual(
        other.map(([, , calls]) => calls),
        [198, 196]
      )
    }).pipe(fresh)
  )

  it.effect("adds to the registry and the common attributes of the call's fiber", () =>
    Effect.gen(function* () {
      const registries = [new Map(), new Map()] as const
      const tagged = Effect.provideService(Metric.CurrentMetricAttributes, { region: "eu" })
      for (const registry of [...registries, ...registries]) {
        yield* run(Metrics.server, {}, Effect.void).pipe(Effect.provideService(Metric.MetricRegistry, registry))
      }
      yield* run(Metrics.server, {}, Effect.void).pipe(tagged, Effect.provideService(Metric.MetricRegistry, registries[0]))
      // another aspect of the same registry adds to the same series
      yield* run(Metrics.makeServer(), {}, Effect.void).pipe(Effect.provideService(Metric.MetricRegistry, registries[1]))
      const [first, second] = yield* Effect.forEach(registries, (registry) => Effect.provideService(count, Metric.MetricRegistry, registry))
      assert.deepStrictEqual(
        first!.map(([, attributes, calls]) => [(attributes as Record<string, string>)["region"], calls]),
        [
          [undefined, 2],
          ["eu", 1]
        ]
      )
      assert.deepStrictEqual(
        second!.map(([, , calls]) => calls),
        [3]
      )
    })
  )

  it.effect("keeps an example of a bucket with the trace it belongs to, of sampled calls only", () =>
    Effect.gen(function* () {
      const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
      const stack = Aspect.compose(Tracing.server, Metrics.server)
      const seen: Array<string> = []
      const handler = Effect.flatMap(Effect.currentSpan, (span) => Effect.sync(() => seen.push(span.traceId)))
      const exemplars = Effect.map(series, ([one]) => (one!.state as HistogramState).exemplars.map((exemplar) => exemplar?.traceId))
      yield* run(stack, {}, Effect.void)
      assert.isTrue((yield* exemplars).every((one) => one === undefined))
      yield* run(stack, {}, handler).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual((yield* exemplars)[0], seen[0])
      // a recent one stays
      yield* run(stack, {}, handler).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual((yield* exemplars)[0], seen[0])
      yield* TestClock.adjust("1 second")
      yield* run(stack, {}, handler).pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepStrictEqual((yield* exemplars)[0], seen[2])
    }).pipe(fresh)
  )
})
