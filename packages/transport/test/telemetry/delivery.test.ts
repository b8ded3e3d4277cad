/** A collector that fails costs what it would have been told, and nothing else; sampling. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Option from "effect/Option"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import * as Delivery from "../../src/telemetry/Delivery.ts"
import * as Sampling from "../../src/telemetry/Sampling.ts"
import type { Sampler } from "../../src/telemetry/Settings.ts"
import * as Telemetry from "../../src/Telemetry.ts"
import { turn } from "../Harness.ts"

const answering = (answer: (attempt: number) => Effect.Effect<number>) => {
  const seen = { requests: 0 }
  const client = HttpClient.make((request) =>
    Effect.flatMap(
      Effect.suspend(() => answer(++seen.requests)),
      (status): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> =>
        status === 0
          ? Effect.fail(
              new HttpClientError.HttpClientError({
                reason: new HttpClientError.TransportError({
                  request,
                  cause: new Error("fetch failed", { cause: { code: "ECONNREFUSED" } })
                })
              })
            )
          : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status })))
    )
  )
  return { seen, client }
}

const log = (lines: Array<string>) =>
  Logger.layer([Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`))])
const post = HttpClientRequest.post("http://user:hunter2@c/v1/traces")
const options = { signal: "spans", timeout: "10 seconds", maxInFlight: 2 } as const

describe("Delivery", () => {
  it.effect("tries again until the time of the batch is over, then drops it and says so once", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      let up = false
      const { client, seen } = answering(() => Effect.sync(() => (up ? 200 : 0)))
      const delivery = yield* Delivery.make(client, options).pipe(Effect.provide(log(lines)))
      for (let i = 0; i < 3; i++) {
        const sending = yield* Effect.forkChild(delivery.execute(post), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(sending)).status, 200)
      }
      assert.isAbove(seen.requests, 6)
      assert.isBelow(seen.requests, 40)
      assert.deepStrictEqual(lines, ["Warn spans do not reach the collector (ECONNREFUSED, for 10s); what does not is dropped"])
      up = true
      yield* delivery.execute(post)
      assert.strictEqual(lines[1], "Info spans reach the collector again; 3 batches were dropped")
    })
  )

  it.effect("retries what OTLP allows, and nothing else", () =>
    Effect.gen(function* () {
      const busy = answering((attempt) => Effect.succeed(attempt < 3 ? 503 : 200))
      const sending = yield* Effect.forkChild((yield* Delivery.make(busy.client, options)).execute(post), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(sending)
      assert.strictEqual(busy.seen.requests, 3)
      const lines: Array<string> = []
      const wrong = answering(() => Effect.succeed(400))
      yield* Effect.flatMap(Delivery.make(wrong.client, options), (client) => client.execute(post)).pipe(Effect.provide(log(lines)))
      assert.deepStrictEqual([wrong.seen.requests, lines.length], [1, 1])
      assert.notInclude(lines.join(), "hunter2")
    })
  )

  it.effect("has no more on its way to a collector that hangs than the queue is long", () =>
    Effect.gen(function* () {
      const hung = answering(() => Effect.never)
      const delivery = yield* Delivery.make(hung.client, options).pipe(Effect.provide(log([])))
      const sending = yield* Effect.forEach(Array.from({ length: 2 }), () =>
        Effect.forkChild(delivery.execute(post), { startImmediately: true })
      )
      // these do not even wait
      for (let i = 0; i < 100; i++) yield* delivery.execute(post)
      assert.strictEqual(hung.seen.requests, 2)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(sending)
      const next = yield* Effect.forkChild(delivery.execute(post), { startImmediately: true })
      assert.strictEqual(hung.seen.requests, 3)
      yield* Fiber.interrupt(next)
    })
  )
})

describe("Telemetry.layer", () => {
  it.effect("stops within its time when the collector hangs, and holds no more than its queue", () =>
    Effect.gen(function* () {
      const stuck = yield* Deferred.make<void>()
      const hung = answering(() => Effect.as(Deferred.await(stuck), 200))
      const env = ConfigProvider.layer(
        ConfigProvider.fromEnvRecord({
          OTEL_EXPORTER_OTLP_ENDPOINT: "http://c",
          OTEL_BSP_MAX_QUEUE_SIZE: "20",
          OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10",
          OTEL_METRICS_EXPORTER: "none",
          OTEL_LOGS_EXPORTER: "none"
        })
      )
      const telemetry = Telemetry.layer({ client: Layer.succeed(HttpClient.HttpClient, hung.client), shutdownTimeout: "2 seconds" })
      const done = yield* Deferred.make<void>()
      const program = Effect.forEach(Array.from({ length: 1000 }), () => Effect.withSpan(Effect.void, "work")).pipe(
        Effect.ensuring(Deferred.succeed(done, undefined)),
        Effect.provide(telemetry.pipe(Layer.provide([env, log([])])))
      )
      const running = yield* Effect.forkChild(program, { startImmediately: true })
      yield* Deferred.await(done)
      // the stop has begun when its time limit waits for the clock
      for (let i = 0; i < 20; i++) yield* turn
      assert.isAtMost(hung.seen.requests, 2)
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(running)
    })
  )

  it.effect("says which variable it cannot follow", () =>
    Effect.gen(function* () {
      const env = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ OTEL_TRACES_SAMPLER: "sometimes" }))
      const error = yield* Effect.flip(Layer.build(Telemetry.layer().pipe(Layer.provide(env))))
      assert.strictEqual(error.variable, "OTEL_TRACES_SAMPLER")
    }).pipe(Effect.scoped)
  )
})

describe("Sampling", () => {
  const traceId = (low: string) => `${"a".repeat(18)}${low.padEnd(14, "0")}`
  const remote = (sampled: boolean, low = "8") => Tracer.externalSpan({ traceId: traceId(low), spanId: "b".repeat(16), sampled })
  const made = (sampler: Sampler) => {
    const spans: Array<Tracer.NativeSpan> = []
    const inner = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return { spans, sampled: Effect.provideService(Tracer.Tracer, Sampling.sampled(inner, sampler)) }
  }
  const isSampled = (sampler: Sampler, parent?: Tracer.ExternalSpan) =>
    Effect.useSpan("s", parent === undefined ? { root: true } : { parent }, ({ sampled }) => Effect.succeed(sampled)).pipe(
      made(sampler).sampled
    )

  it.effect("follows the caller where it is based on the parent, and only there", () =>
    Effect.gen(function* () {
      for (const root of ["on", "off"] as const) {
        assert.isTrue(yield* isSampled({ root, parentBased: true }, remote(true)))
        assert.isFalse(yield* isSampled({ root, parentBased: true }, remote(false)))
        assert.strictEqual(yield* isSampled({ root, parentBased: true }), root === "on")
        for (const caller of [true, false])
          assert.strictEqual(yield* isSampled({ root, parentBased: false }, remote(caller)), root === "on")
      }
      const ratio: Sampler = { root: "ratio", ratio: 0.5, parentBased: false }
      assert.deepStrictEqual([yield* isSampled(ratio, remote(false, "7")), yield* isSampled(ratio, remote(true, "8"))], [true, false])
    })
  )

  it.effect("records a share of the traces, each as a whole", () =>
    Effect.gen(function* () {
      const { sampled, spans } = made({ root: "ratio", ratio: 0.25, parentBased: true })
      const seen: Array<readonly [boolean, boolean, boolean]> = []
      const one = Effect.useSpan("root", (root) =>
        Effect.useSpan("child", { parent: root }, (child) =>
          Effect.sync(() => seen.push([root.sampled, child.sampled, root.traceId === child.traceId]))
        )
      )
      yield* Effect.repeat(one, { times: 1999 }).pipe(sampled)
      const kept = seen.filter(([root]) => root).length
      assert.isAbove(kept, 400)
      assert.isBelow(kept, 600)
      assert.isTrue(seen.every(([root, child, same]) => root === child && same))
      assert.isTrue(spans.every(({ parent, sampled: recorded }) => recorded || Option.isNone(parent)))
      assert.strictEqual(
        yield* Effect.useSpan("x", ({ traceId: id }) => Effect.succeed(id.length)).pipe(
          made({ root: "ratio", ratio: 0, parentBased: true }).sampled
        ),
        32
      )
    })
  )
})
