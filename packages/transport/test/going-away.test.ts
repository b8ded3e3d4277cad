/** What a stopping server does to streams, WebSockets and calls that do not end by themselves: each gets an answer that says why. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Client from "../src/Client.ts"
import { isGoingAway } from "../src/InFlight.ts"
import { clientOf, implement, memory, serve, sockets, turn, until, type Wire } from "./Harness.ts"
import { rawClient } from "./Raw.ts"
import { parse, talk } from "./RawHttp.ts"
import { EchoRest } from "./rest/EchoRest.ts"
import { rawSocket } from "./rest/RestHarness.ts"

const clients: ReadonlyArray<readonly [string, Client.Options]> = [
  ["gRPC", {}],
  ["gRPC-Web", { protocol: "grpc-web" }],
  ["Connect", { protocol: "connect" }],
  ["Connect, HTTP/1.1", { protocol: "connect", http: "1.1" }],
  ["REST", { protocol: "rest" }]
]

/** Streams that say one thing and then nothing, and a unary call that never ends. */
const endless = implement({
  unary: () => Effect.never,
  serverStream: () => Stream.concat(Stream.make({ text: "first" }), Stream.never),
  bidi: () => Stream.concat(Stream.make({ text: "first" }), Stream.never)
})

/** The error that a stream ended with, after it has said its first word. */
const ending = (stream: Stream.Stream<unknown, unknown>, seen: { count: number }) =>
  Effect.map(Effect.flip(Stream.runForEach(stream, () => Effect.sync(() => seen.count++))), (error) => {
    assert.instanceOf(error, KratosError.KratosError)
    return error
  })

for (const base of [memory, sockets]) {
  const wire: Wire = { ...base, service: EchoRest }
  const open = (options: { readonly streamGrace?: number; readonly drainTimeout?: number }) =>
    serve({ wire, implementation: endless, ...options })

  describe(`a server on ${wire.name} that goes away`, () => {
    for (const [name, options] of clients) {
      it.effect(`ends streams with a typed error after their grace, not earlier (${name})`, () =>
        Effect.gen(function* () {
          const server = yield* open({ streamGrace: 3000 })
          const { echo } = yield* clientOf(server, options)
          const seen = { count: 0 }
          // HTTP/1.1 has streams of the server only
          const streams = name === "Connect, HTTP/1.1" ? [echo.serverStream({})] : [echo.serverStream({}), echo.bidi(Stream.never)]
          const ended = yield* Effect.forkChild(Effect.forEach(streams, (stream) => ending(stream, seen), { concurrency: "unbounded" }))
          yield* until(Effect.sync(() => seen.count === streams.length))
          const closing = yield* Effect.forkChild(server.close)
          yield* Effect.repeat(turn, { times: 20 })
          yield* TestClock.adjust(2900)
          yield* Effect.repeat(turn, { times: 20 })
          assert.isUndefined(ended.pollUnsafe())
          yield* TestClock.adjust(110)
          for (const error of yield* Fiber.join(ended)) {
            assert.deepStrictEqual([error.code, error.reason, isGoingAway(error)], [503, "GOING_AWAY", true])
            if (name === "gRPC") assert.strictEqual(error.grpc, Grpc.UNAVAILABLE)
          }
          // nothing else holds the stop up: the drain timeout has not passed
          yield* Fiber.join(closing)
        })
      )
    }

    it.effect("closes WebSockets with 1001, its own and those of a user's routes", () =>
      Effect.gen(function* () {
        const server = yield* serve({
          wire,
          implementation: endless,
          streamGrace: 3000,
          routes: HttpRouter.add(
            "GET",
            "/socket",
            Effect.gen(function* () {
              const request = yield* HttpServerRequest.HttpServerRequest
              const socket = yield* request.upgrade
              const { pull } = yield* socket.reader
              yield* Effect.ignore(Effect.forever(pull))
              return HttpServerResponse.empty()
            }).pipe(Effect.scoped, Effect.orDie)
          )
        })
        const own = rawSocket(yield* server.connect)
        yield* own.open("/echo/bidi")
        yield* own.until(() => own.texts().length === 1)
        const routed = rawSocket(yield* server.connect)
        assert.match(yield* routed.open("/socket"), /^HTTP\/1\.1 101 /)
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 20 })
        assert.deepStrictEqual([own.closed(), routed.closed()], [undefined, undefined])
        yield* TestClock.adjust(3010)
        yield* own.until(() => own.closed() !== undefined && routed.closed() !== undefined)
        assert.strictEqual(own.closed()?.code, 1001)
        assert.match(own.closed()?.reason ?? "", /^GOING_AWAY/)
        assert.deepStrictEqual(routed.closed(), { code: 1001, reason: "GOING_AWAY" })
        own.duplex.destroy()
        routed.duplex.destroy()
        yield* Fiber.join(closing)
      })
    )

    it.effect("ends server-sent events with an event that says why", () =>
      Effect.gen(function* () {
        const server = yield* open({ streamGrace: 3000 })
        const events = talk(yield* server.connect)
        yield* events.write(
          "POST /echo/server-stream HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        )
        yield* events.says(/first/)
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 20 })
        yield* TestClock.adjust(3010)
        const text = yield* events.closed
        assert.match(text, /event: error\r?\ndata: .*"reason":"GOING_AWAY"/)
        yield* Fiber.join(closing)
      })
    )

    it.effect("answers calls that the drain timeout cuts off, and says so on the connection of HTTP/1.1", () =>
      Effect.gen(function* () {
        const server = yield* open({ drainTimeout: 1000 })
        const { echo } = yield* clientOf(server)
        const rest = talk(yield* server.connect)
        yield* rest.write("POST /echo/unary HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
        const call = yield* Effect.forkChild(Effect.flip(echo.unary({})))
        const seen = { count: 0 }
        const stream = yield* Effect.forkChild(ending(echo.serverStream({}), seen))
        yield* until(Effect.sync(() => seen.count === 1))
        yield* Effect.repeat(turn, { times: 20 })
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 20 })
        yield* TestClock.adjust(1000)
        assert.isTrue(isGoingAway(yield* Fiber.join(call)))
        assert.isTrue(isGoingAway(yield* Fiber.join(stream)))
        const reply = parse(yield* rest.closed)
        assert.deepStrictEqual([reply.status, reply.headers["connection"], JSON.parse(reply.body).reason], [503, "close", "GOING_AWAY"])
        yield* Fiber.join(closing)
      })
    )

    it.effect("names the step on /readyz for as long as somebody can ask", () =>
      Effect.gen(function* () {
        const server = yield* open({})
        yield* server.lifecycle.identify({ id: "1", name: "app", version: "", metadata: {}, endpoints: [] })
        yield* server.lifecycle.advance("serving")
        yield* server.lifecycle.addDetail("registry", Effect.succeed("registered"))
        const { send } = rawClient(yield* server.connect)
        const ready = Effect.map(send("/readyz", { fields: { ":method": "GET", te: "", "content-type": "" } }), ({ body, status }) => [
          status,
          body.toString()
        ])
        assert.deepStrictEqual(yield* ready, [200, "ok\nregistry: registered\n"])
        yield* server.lifecycle.advance("stopping")
        yield* server.lifecycle.enter("unready", "")
        assert.deepStrictEqual(yield* ready, [503, "stopping: unready\nregistry: registered\n"])
        yield* server.lifecycle.enter("propagating", "")
        assert.deepStrictEqual(yield* ready, [503, "stopping: propagating\nregistry: registered\n"])
        // of two servers that drain the furthest counts
        yield* server.lifecycle.enter("deregistering", "")
        assert.strictEqual(yield* server.lifecycle.step, "propagating")
        const closing = yield* Effect.forkChild(server.close)
        yield* until(Effect.map(server.lifecycle.step, (step) => step === "closing"))
        yield* Fiber.join(closing)
      })
    )
  })
}
