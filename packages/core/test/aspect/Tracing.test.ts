import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Aspect from "../../src/Aspect.ts"
import * as Baggage from "../../src/aspect/Baggage.ts"
import * as TraceHeaders from "../../src/aspect/TraceHeaders.ts"
import * as Tracing from "../../src/aspect/Tracing.ts"
import type { CallShape, Kind } from "../../src/Call.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import { AppInfo } from "../../src/Lifecycle.ts"
import * as Metadata from "../../src/Metadata.ts"
import * as CallFixture from "../CallFixture.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${parentId}-01`

/** A tracer that somebody listens to. */
const recorder = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, record: Effect.provideService(Tracer.Tracer, tracer) }
}

type Values = Readonly<Record<string, string | ReadonlyArray<string>>>

const serve = <A, E, R>(headers: Values, handler: Effect.Effect<A, E, R>, fields: Partial<CallShape> = {}) =>
  CallFixture.run(CallFixture.make({ request: Metadata.fromRecord(headers), ...fields }), Tracing.server(handler))

/** What a client call that is made here sends. */
const sent = (request: Values = {}) =>
  Effect.suspend(() => {
    const call = CallFixture.make({
      side: "client",
      endpoint: "discovery:///users",
      peer: "10.0.0.9:80",
      request: Metadata.fromRecord(request)
    })
    return Effect.as(CallFixture.run(call, Tracing.client(Effect.void)), call.request)
  })

const header = (request: Metadata.Metadata, key: string) => Option.getOrUndefined(Metadata.get(request, key))

describe("Tracing", () => {
  it.effect("makes a server's span a child of the caller's, with the handler's spans below it", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      yield* serve({ traceparent }, Effect.withSpan(Effect.void, "work")).pipe(record)
      const [call, work] = spans
      assert.lengthOf(spans, 2)
      assert.deepStrictEqual([call!.name, call!.kind, call!.traceId, call!.sampled], ["user.v1.Users/Get", "server", traceId, true])
      assert.strictEqual(Option.getOrUndefined(call!.parent)?.spanId, parentId)
      assert.strictEqual(Option.getOrUndefined(work!.parent)?.spanId, call!.spanId)
      assert.strictEqual(call!.status._tag, "Ended")
    })
  )

  it.effect("tells of the call in OpenTelemetry's words", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      yield* serve({ "x-md-service-name": "web" }, Effect.void).pipe(record)
      yield* serve({}, Effect.fail(KratosError.fromGrpc(6, "m", { reason: "TAKEN" }))).pipe(record, Effect.ignore)
      yield* serve({}, Effect.die("bug"), {
        transport: "http",
        pathTemplate: "/users/{id}",
        httpMethod: "GET",
        peer: "[::1]:80",
        endpoint: "http://[::]:8000"
      }).pipe(record, Effect.exit)
      assert.deepStrictEqual(Object.fromEntries(spans[0]!.attributes), {
        "rpc.system.name": "grpc",
        "rpc.method": "user.v1.Users/Get",
        "server.address": "10.0.0.2",
        "server.port": 9000,
        "client.address": "10.0.0.1",
        "client.port": 5000,
        "peer.service": "web",
        "rpc.response.status_code": "OK"
      })
      assert.strictEqual(spans[1]!.attributes.get("rpc.response.status_code"), "ALREADY_EXISTS")
      assert.strictEqual(spans[1]!.attributes.get("error.type"), "TAKEN")
      const failed = spans.map((span) => span.status._tag === "Ended" && span.status.exit._tag)
      assert.deepStrictEqual(failed, ["Success", "Failure", "Failure"])
      const http = Object.fromEntries(spans[2]!.attributes)
      assert.deepInclude(http, {
        "rpc.system.name": "http",
        "http.request.method": "GET",
        "http.route": "/users/{id}",
        "http.response.status_code": 500,
        "error.type": "500"
      })
      assert.deepInclude(http, { "client.address": "::1", "client.port": 80, "server.address": "::", "server.port": 8000 })
    })
  )

  it.effect("takes another name and more attributes", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      const aspect = Tracing.makeServer({ name: Tracing.nameKratos, attributes: () => ({ tenant: "a" }) })
      yield* CallFixture.run(CallFixture.make(), aspect(Effect.void)).pipe(record)
      assert.strictEqual(spans[0]!.name, "/user.v1.Users/Get")
      assert.strictEqual(spans[0]!.attributes.get("tenant"), "a")
    })
  )

  it.effect("names a client's span to the server, in the trace of the handler", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      const request = yield* serve({ traceparent, tracestate: "a=1", baggage: "k=v" }, sent()).pipe(record)
      const [server, client] = spans
      assert.deepStrictEqual([client!.kind, client!.name, Option.getOrUndefined(client!.parent)], ["client", "user.v1.Users/Get", server])
      assert.deepInclude(Object.fromEntries(client!.attributes), {
        "server.address": "users",
        "network.peer.address": "10.0.0.9",
        "network.peer.port": 80
      })
      assert.strictEqual(header(request, "traceparent"), `00-${traceId}-${client!.spanId}-01`)
      assert.deepStrictEqual([header(request, "tracestate"), header(request, "baggage")], ["a=1", "k=v"])
    })
  )

  it.effect("begins a trace where the caller names none, whatever is around it in this process", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      yield* serve({}, Effect.void).pipe(Effect.withSpan("around"), record)
      assert.deepStrictEqual(
        spans.map(({ name, parent }) => [name, Option.isNone(parent)]),
        [
          ["around", true],
          ["user.v1.Users/Get", true]
        ]
      )
      assert.notStrictEqual(spans[0]!.traceId, spans[1]!.traceId)
    })
  )

  it.effect("makes no span when nothing records it, and passes the trace on all the same", () =>
    Effect.gen(function* () {
      const current = yield* serve({}, Effect.option(Effect.currentParentSpan))
      assert.isTrue(Option.isNone(current))
      const request = yield* serve({ traceparent, tracestate: "a=1", baggage: "k=v" }, Effect.withSpan(sent(), "unseen"))
      assert.deepStrictEqual(
        ["traceparent", "tracestate", "baggage"].map((key) => header(request, key)),
        [traceparent, "a=1", "k=v"]
      )
      assert.strictEqual((yield* serve({}, Effect.withSpan(sent(), "unseen"))).size, 0)
      assert.strictEqual((yield* sent()).size, 0)
    })
  )

  it.effect("keeps the caller's decision not to sample", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      const request = yield* serve({ traceparent: `00-${traceId}-${parentId}-00` }, sent()).pipe(record)
      assert.deepStrictEqual(
        spans.map(({ sampled }) => sampled),
        [false, false]
      )
      assert.match(header(request, "traceparent")!, /-00$/)
    })
  )

  it.effect("writes the headers of each attempt anew, and leaves the request's own baggage", () =>
    Effect.gen(function* () {
      const { record } = recorder()
      const request = yield* serve({ baggage: "k=v" }, sent({ traceparent, baggage: "mine=1" })).pipe(record)
      assert.notInclude(header(request, "traceparent")!, parentId)
      assert.deepStrictEqual(Metadata.getAll(request, "baggage"), ["mine=1"])
    })
  )

  it.effect("reads B3 and later versions, and nothing that is not well formed", () =>
    Effect.gen(function* () {
      const parent = (headers: Values) =>
        serve(headers, Effect.option(Effect.currentParentSpan)).pipe(
          Effect.map((span) => (Option.isSome(span) ? span.value.spanId : undefined))
        )
      const good: ReadonlyArray<Values> = [
        { traceparent },
        { b3: `${traceId}-${parentId}-1` },
        { "x-b3-traceid": traceId, "x-b3-spanid": parentId },
        { traceparent: `cc-${traceId}-${parentId}-01` },
        { traceparent: `cc-${traceId}-${parentId}-01-what-the-future-holds` }
      ]
      for (const headers of good) assert.strictEqual(yield* parent(headers), parentId, JSON.stringify(headers))
      const bad: ReadonlyArray<Values> = [
        { traceparent: `ff-${traceId}-${parentId}-01` },
        { traceparent: `00-${traceId}-${parentId}-01-x` },
        { traceparent: `cc-${traceId}-${parentId}-01x` },
        { traceparent: `00-${"0".repeat(32)}-${parentId}-01` },
        { traceparent: `00-${traceId}-${parentId}` },
        { traceparent: `00-${traceId.toUpperCase()}-${parentId}-01` },
        { traceparent: [traceparent, traceparent] },
        { traceparent: "x".repeat(100_000) },
        { b3: "0" }
      ]
      for (const headers of bad) assert.isUndefined(yield* parent(headers), JSON.stringify(headers).slice(0, 100))
    })
  )

  it.effect("drops a tracestate or baggage that is too long, and a tracestate without a trace", () =>
    Effect.gen(function* () {
      const headers = (tracestate: number, baggage: number) => ({
        traceparent,
        tracestate: "a".repeat(tracestate),
        baggage: "b".repeat(baggage)
      })
      const keys = (headers: Values) => Effect.map(serve(headers, sent()), (request) => [...request.keys()].sort())
      assert.deepStrictEqual(yield* keys(headers(512, 8192)), ["baggage", "traceparent", "tracestate"])
      assert.deepStrictEqual(yield* keys(headers(513, 8193)), ["traceparent"])
      assert.deepStrictEqual(yield* keys({ tracestate: "a=1", baggage: "k=v" }), ["baggage"])
    })
  )

  it.effect("costs no combinator in front of a stack, and ends the span whatever becomes of the call", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      const parents: Array<string | undefined> = []
      const seen = Aspect.observe({
        start: (_, services) => void parents.push(Context.getOrUndefined(services, Tracer.ParentSpan)?.spanId),
        end: () => undefined
      })
      const stack = Aspect.compose(Tracing.server, seen)
      const { light } = Aspect.compile(stack, CallFixture.make())
      assert.deepStrictEqual([light?.wrap, light?.contexts.length, light?.hooks.length], [undefined, 1, 2])
      const kinds: ReadonlyArray<Kind> = ["unary", "client_streaming", "server_streaming", "bidi_streaming"]
      for (const kind of kinds) {
        for (const handler of [Effect.void, Effect.fail("no"), Effect.die("bug"), Effect.interrupt]) {
          yield* CallFixture.runCompiled(CallFixture.make({ kind, request: Metadata.fromRecord({ traceparent }) }), stack, handler).pipe(
            record
          )
        }
      }
      assert.lengthOf(spans, 16)
      assert.deepStrictEqual(
        parents,
        spans.map(({ spanId }) => spanId)
      )
      assert.isTrue(spans.every(({ status, traceId: id }) => status._tag === "Ended" && id === traceId))
    })
  )

  it.effect("gives streams a trace of their own, linked to the caller, where that is asked for", () =>
    Effect.gen(function* () {
      const { record, spans } = recorder()
      const aspect = Tracing.makeServer({ join: Tracing.linkStreams })
      const one = (kind: Kind, flags: string) =>
        CallFixture.run(
          CallFixture.make({ kind, request: Metadata.fromRecord({ traceparent: `00-${traceId}-${parentId}-${flags}` }) }),
          aspect(Effect.void)
        ).pipe(record)
      yield* one("unary", "01")
      yield* one("bidi_streaming", "01")
      yield* one("server_streaming", "00")
      const [unary, bidi, unsampled] = spans
      assert.deepStrictEqual([unary!.traceId, unary!.links.length], [traceId, 0])
      assert.notStrictEqual(bidi!.traceId, traceId)
      assert.isTrue(Option.isNone(bidi!.parent))
      assert.deepStrictEqual(
        bidi!.links.map(({ span }) => [span.traceId, span.spanId]),
        [[traceId, parentId]]
      )
      assert.deepStrictEqual([bidi!.sampled, unsampled!.sampled], [true, false])
    })
  )

  it.effect("names the app of a client, unless somebody else has", () =>
    Effect.gen(function* () {
      const app = { id: "1", name: "web", version: "", metadata: {}, endpoints: [] }
      const request = yield* sent().pipe(Effect.provideService(AppInfo, app))
      assert.strictEqual(header(request, "x-md-service-name"), "web")
      const own = yield* sent({ "x-md-service-name": "mine" }).pipe(Effect.provideService(AppInfo, app))
      assert.deepStrictEqual(Metadata.getAll(own, "x-md-service-name"), ["mine"])
      assert.isUndefined(header(yield* sent(), "x-md-service-name"))
    })
  )

  it.effect("lets handlers read the baggage and add to it", () =>
    Effect.gen(function* () {
      const baggage = "user=ann%20b;secret, broken, bad key=1, tenant = 7 ,e=%"
      const read = yield* serve({ baggage }, Baggage.current)
      assert.deepStrictEqual(
        [...read],
        [
          ["user", "ann b"],
          ["tenant", "7"]
        ]
      )
      const request = yield* serve(
        { baggage: "user=ann;p=1,tenant=7" },
        Baggage.with({ tenant: undefined, role: "a,b", "no token": "x" })(sent())
      )
      assert.strictEqual(header(request, "baggage"), "user=ann;p=1,role=a%2Cb")
      const full = yield* serve({ baggage: `k=${"v".repeat(8000)}` }, Baggage.with({ more: "x".repeat(300), few: "x" })(sent()))
      assert.strictEqual(header(full, "baggage"), `k=${"v".repeat(8000)},few=x`)
      assert.strictEqual(yield* Baggage.get("user"), undefined)
    })
  )

  it.effect("reads and writes what the propagators say", () =>
    Effect.gen(function* () {
      const { record } = recorder()
      const incoming = { traceparent, baggage: "k=v" }
      const keys = (propagators: TraceHeaders.Propagators, headers: Values = incoming) =>
        Effect.map(serve(headers, sent()).pipe(record, Effect.provideService(TraceHeaders.Propagators, propagators)), (request) =>
          [...request.keys()].sort()
        )
      assert.deepStrictEqual(yield* keys({ traceContext: true, baggage: false, b3: "none" }), ["traceparent"])
      assert.deepStrictEqual(yield* keys({ traceContext: false, baggage: true, b3: "single" }), ["b3", "baggage"])
      assert.deepStrictEqual(yield* keys({ traceContext: false, baggage: false, b3: "multi" }), [
        "x-b3-sampled",
        "x-b3-spanid",
        "x-b3-traceid"
      ])
      const parent = (propagators: TraceHeaders.Propagators, headers: Values) =>
        serve(headers, Effect.option(Effect.currentParentSpan)).pipe(
          Effect.provideService(TraceHeaders.Propagators, propagators),
          Effect.map(Option.isSome)
        )
      const b3 = { b3: `${traceId}-${parentId}-1` }
      assert.isFalse(yield* parent({ traceContext: true, baggage: true, b3: "none" }, b3))
      assert.isFalse(yield* parent({ traceContext: false, baggage: true, b3: "read" }, { traceparent }))
      assert.isTrue(yield* parent({ traceContext: false, baggage: true, b3: "single" }, b3))
    })
  )
})
