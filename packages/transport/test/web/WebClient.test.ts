/** The browser's client on the `fetch` that Node has, over HTTP/1.1 to a real port. */
import type * as Aspect from "@effect-kratos/core/Aspect"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Server from "../../src/Server.ts"
import * as WebClient from "../../src/web/WebClient.ts"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { Teapot, ThingNotFound } from "../gen/test/v1/reason_effect.ts"
import { implement, makeReplies, reaches, sends, serve, settles, sockets } from "../Harness.ts"

type Options = Omit<WebClient.Options, "baseUrl">

const join = Effect.fnUntraced(function* (options?: Options) {
  const server = yield* serve({ wire: sockets })
  const baseUrl = `http://127.0.0.1:${server.address.port}/`
  const context = yield* Layer.build(WebClient.layer(Echo, { baseUrl, ...options }))
  return { ...server, echo: Context.get(context, Echo) }
})

describe("the client of a browser", () => {
  it.effect("tries again like any other, streams until their first message", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: sockets })
      let failures = 2
      const fetch = (url: string, init: RequestInit): Promise<Response> =>
        failures-- > 0 ? Promise.resolve(new Response(null, { status: 503 })) : globalThis.fetch(url, init)
      const limit = RetryLimit.make({ budget: false })
      const aspects = Retry.make({ idempotent: true, initialBackoff: 0, limit })
      const baseUrl = `http://127.0.0.1:${server.address.port}`
      const echo = Context.get(yield* Layer.build(WebClient.layer(Echo, { baseUrl, fetch, aspects })), Echo)
      assert.strictEqual((yield* echo.unary({ text: "a" })).text, "a")
      failures = 2
      assert.lengthOf(yield* Stream.runCollect(echo.serverStream({ count: 3 })), 3)
      assert.strictEqual(failures, -1)
    })
  )

  it.effect("unary", () =>
    Effect.gen(function* () {
      const { echo } = yield* join()
      const payload = new Uint8Array(300_000).map((_, i) => i)
      const reply = yield* echo.unary({ text: "héllo", payload })
      assert.strictEqual(reply.text, "héllo")
      assert.deepStrictEqual(reply.payload, payload)
      assert.strictEqual((yield* echo.unary({})).text, "")
    })
  )

  it.effect("server streaming, and a stream that is left early interrupts its handler", () =>
    Effect.gen(function* () {
      const { echo, journal } = yield* join()
      const replies = yield* Stream.runCollect(echo.serverStream({ count: 500, payload: new Uint8Array(5000) }))
      assert.deepStrictEqual(
        replies.map((reply) => [reply.index, reply.payload.length]),
        Array.from({ length: 500 }, (_, i) => [i, 5000])
      )
      const some = yield* echo.serverStream({ count: 1_000_000, payload: new Uint8Array(5000) }).pipe(Stream.take(3), Stream.runCollect)
      assert.strictEqual(some.length, 3)
      yield* reaches(journal.interrupted, 1)
      assert.strictEqual(yield* Ref.get(journal.open), 0)
    })
  )

  it.effect("a slow reader holds the server back", () =>
    Effect.gen(function* () {
      let made = 0
      const server = yield* serve({
        wire: sockets,
        implementation: EchoOf(
          Stream.range(1, 10_000).pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.sync(() => made++)),
            Stream.map(() => ({ payload: new Uint8Array(10_000) }))
          )
        )
      })
      const context = yield* Layer.build(WebClient.layer(Echo, { baseUrl: `http://127.0.0.1:${server.address.port}` }))
      const seen = yield* Context.get(context, Echo)
        .serverStream({})
        .pipe(
          Stream.rechunk(1),
          Stream.take(1),
          Stream.mapEffect(() => settles(() => made)),
          Stream.runCollect
        )
      assert.isBelow(seen[0]!, 9000)
    })
  )

  it.effect("errors are the contract's classes", () =>
    Effect.gen(function* () {
      const { echo } = yield* join()
      const error = yield* Effect.flip(echo.unary({ text: "t", failReason: "THING_NOT_FOUND" }))
      assert.instanceOf(error, ThingNotFound)
      assert.deepStrictEqual(error.metadata, { text: "t" })
      const seen: Array<number> = []
      const stream = echo.serverStream({ count: 2, failReason: "TEAPOT" })
      const late = yield* Effect.flip(Stream.runForEach(stream, (reply) => Effect.sync(() => seen.push(reply.index))))
      assert.instanceOf(late, Teapot)
      assert.deepStrictEqual(seen, [0, 1])
      const secret = yield* Effect.flip(echo.unary({ failReason: "BOOM" }))
      assert.instanceOf(secret, KratosError.KratosError)
      assert.strictEqual(secret.message, "internal error")
    })
  )

  it.effect("an interrupt reaches the handler, and so does a deadline", () =>
    Effect.gen(function* () {
      const { echo, journal } = yield* join()
      const fiber = yield* Effect.forkChild(echo.unary({ delayMs: 1_000_000 }))
      yield* reaches(journal.open, 1)
      yield* Fiber.interrupt(fiber)
      yield* reaches(journal.interrupted, 1)
      const late = yield* Effect.forkChild(Effect.flip(Effect.provideService(echo.unary({ delayMs: 1_000_000 }), Deadline.Current, 60_000)))
      yield* reaches(journal.open, 1)
      yield* TestClock.adjust("61 seconds")
      const error = yield* Fiber.join(late)
      assert.strictEqual(KratosError.code(error), 504)
      assert.strictEqual(KratosError.reason(error), "DEADLINE_EXCEEDED")
      yield* reaches(journal.interrupted, 2)
    })
  )

  it.effect("metadata and aspects", () =>
    Effect.gen(function* () {
      const replies = makeReplies()
      const aspects: Aspect.Aspect = (call) => replies.aspect(sends({ "x-md-one": ["uno"] })(call))
      const { echo } = yield* join({ aspects })
      const reply = yield* echo.unary({ echoMetadata: ["x-md-one"] })
      assert.deepStrictEqual(reply.metadata, { "x-md-one": "uno" })
      assert.deepStrictEqual(replies.headers[0]?.["x-md-one"], ["uno"])
    })
  )

  it.effect("what browsers cannot do, and what cannot be reached", () =>
    Effect.gen(function* () {
      const { echo } = yield* join()
      const error = yield* Effect.flip(echo.clientStream(Stream.make({})))
      assert.strictEqual(KratosError.code(error), 501)
      const offline = yield* join({ fetch: () => Promise.reject(new TypeError("offline")) })
      assert.strictEqual(KratosError.code(yield* Effect.flip(offline.echo.unary({}))), 503)
      const html = (status: number) => () => Promise.resolve(new Response("<html>", { status, headers: { "content-type": "text/html" } }))
      const proxied = yield* join({ fetch: html(502) })
      assert.strictEqual(KratosError.code(yield* Effect.flip(proxied.echo.unary({}))), 503)
      assert.strictEqual(KratosError.code(yield* Effect.flip(Stream.runDrain(proxied.echo.serverStream({})))), 503)
      const captive = yield* join({ fetch: html(200) })
      assert.strictEqual(KratosError.code(yield* Effect.flip(captive.echo.unary({}))), 500)
      const small = yield* join({ maxMessageBytes: 1000 })
      assert.strictEqual(KratosError.code(yield* Effect.flip(small.echo.unary({ payload: new Uint8Array(2000) }))), 429)
      assert.strictEqual(
        KratosError.code(yield* Effect.flip(Stream.runDrain(small.echo.serverStream({ payload: new Uint8Array(2000) })))),
        429
      )
    })
  )

  it.effect("methods without side effects are GETs, unless they are long or it is not wanted", () =>
    Effect.gen(function* () {
      const CatalogLive = Catalog.layer({
        *find({ cover, title }) {
          const { transport } = yield* Call
          if (title === "") return yield* KratosError.notFound("NO_TITLE", "no title")
          return { title, cover, transport }
        },
        list: ({ count, title }) => Stream.range(1, count).pipe(Stream.map(() => ({ title }))),
        *keep({ title }) {
          return { title }
        }
      })
      const context = yield* Layer.build(Server.layer({ services: [Catalog], host: "127.0.0.1", port: 0 }).pipe(Layer.provide(CatalogLive)))
      const { address } = Context.get(context, Server.Server)
      const methods: Array<string | undefined> = []
      const fetch: WebClient.Options["fetch"] = (url, init) => {
        methods.push(init.method)
        return globalThis.fetch(url, init)
      }
      const clientOf = (options: Options) =>
        Effect.map(Layer.build(WebClient.layer(Catalog, { baseUrl: `http://127.0.0.1:${address.port}`, fetch, ...options })), (context) =>
          Context.get(context, Catalog)
        )
      const catalog = yield* clientOf({})
      const cover = Uint8Array.of(0, 255, 254, 62, 63)
      const found = yield* catalog.find({ title: "ä/+ ?&", cover })
      assert.strictEqual(found.title, "ä/+ ?&")
      assert.deepStrictEqual([...found.cover], [...cover])
      assert.strictEqual(found.transport, "connect")
      assert.strictEqual((yield* catalog.find({ title: "x".repeat(5000) })).title.length, 5000)
      yield* catalog.keep({ title: "k" })
      yield* Stream.runDrain(catalog.list({ count: 2 }))
      const failed = yield* Effect.exit(catalog.find({}))
      assert.isTrue(Exit.isFailure(failed))
      yield* (yield* clientOf({ useGet: false })).find({ title: "t" })
      assert.deepStrictEqual(methods, ["GET", "POST", "POST", "POST", "GET", "POST"])
    })
  )
})

const EchoOf = (replies: Stream.Stream<{ readonly payload: Uint8Array }>) => implement({ serverStream: () => replies })
