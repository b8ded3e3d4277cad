/** A server that stops: what is in flight finishes, what is new goes elsewhere, nothing is left and nothing holds it up. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import { Health } from "../src/Health.ts"
import * as Network from "../src/Network.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import { clientOf, implement, memory, reaches, serve, settled, settles, sockets, turn, until } from "./Harness.ts"
import { rawClient } from "./Raw.ts"
import { parse, talk } from "./RawHttp.ts"

const ECHO = "/test/v1/echo"
const post = (body: string) =>
  `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** Calls that wait for the gate, and how many are waiting. */
const gated = Effect.gen(function* () {
  const gate = yield* Latch.make()
  const seen = { waiting: 0 }
  const wait = Effect.andThen(
    Effect.sync(() => seen.waiting++),
    gate.await
  )
  const implementation = implement({
    unary: ({ text }) => Effect.as(wait, { text }),
    serverStream: ({ text }) => Stream.concat(Stream.make({ text }), Stream.fromEffect(Effect.as(wait, { text }))),
    clientStream: (requests) =>
      Effect.map(
        Effect.tap(Stream.runCollect(requests), () => wait),
        (all) => ({ index: all.length })
      ),
    bidi: (requests) => Stream.mapEffect(requests, ({ text }) => Effect.as(wait, { text }))
  })
  return { gate, seen, implementation }
})

for (const wire of [memory, sockets]) {
  describe(`a server on ${wire.name} that stops`, () => {
    it.effect("lets calls of all kinds finish, and takes no new connection", () =>
      Effect.gen(function* () {
        const { gate, implementation, seen } = yield* gated
        const server = yield* serve({ wire, implementation })
        const { echo } = yield* clientOf(server)
        const calls = yield* Effect.forkChild(
          Effect.all(
            [
              echo.unary({ text: "a" }),
              Stream.runCollect(echo.serverStream({ text: "b" })),
              echo.clientStream(Stream.make({}, {})),
              Stream.runCollect(echo.bidi(Stream.make({ text: "c" })))
            ],
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => seen.waiting === 4))
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 10 })
        assert.isUndefined(closing.pollUnsafe())
        const refused = yield* Effect.flip(server.network.connect(server.address))
        assert.strictEqual(refused._tag, "ConnectError")
        yield* gate.open
        const [a, b, c, d] = yield* Fiber.join(calls)
        assert.deepStrictEqual([a.text, b.length, c.index, d.length], ["a", 2, 2, 1])
        yield* Fiber.join(closing)
        const gone = yield* Effect.flip(echo.unary({}))
        assert.strictEqual(KratosError.code(gone), 503)
      })
    )

    it.effect("ends at once when nothing is in flight, whatever is connected", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire })
        const { echo } = yield* clientOf(server)
        yield* echo.unary({})
        const idle = talk(yield* server.connect) // says nothing
        const kept = talk(yield* server.connect)
        yield* kept.write(post('{"text":"kept"}'))
        yield* kept.says(/"kept"/)
        // on the clock of the tests no timeout passes
        yield* server.close
        yield* idle.closed
        yield* kept.closed
      })
    )

    it.effect("answers HTTP/1.1 requests in flight and then closes their connections", () =>
      Effect.gen(function* () {
        const { gate, implementation, seen } = yield* gated
        const server = yield* serve({
          wire,
          implementation,
          routes: HttpRouter.add(
            "GET",
            "/slow",
            Effect.as(
              Effect.andThen(
                Effect.sync(() => seen.waiting++),
                gate.await
              ),
              HttpServerResponse.text("slow")
            )
          )
        })
        const rest = talk(yield* server.connect)
        const route = talk(yield* server.connect)
        yield* rest.write(post('{"text":"rest"}'))
        yield* route.write("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        yield* until(Effect.sync(() => seen.waiting === 2))
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 10 })
        yield* gate.open
        yield* Fiber.join(closing)
        const reply = parse(yield* rest.closed)
        assert.deepStrictEqual([reply.status, reply.headers["connection"]], [200, "close"])
        assert.strictEqual(parse(yield* route.closed).body, "slow")
      })
    )

    it.effect("sends replies to their end to clients of HTTP/1.1 that read slowly", () =>
      Effect.gen(function* () {
        // more than the buffers of a socket hold
        const text = "x".repeat(16_000_000)
        let served = 0
        const reply = <A>(value: A) => Effect.sync(() => (served++, value))
        const server = yield* serve({
          wire,
          implementation: implement({ unary: () => reply({ text }) }),
          routes: HttpRouter.add("GET", "/large", reply(HttpServerResponse.text(text)))
        })
        const slow = yield* Effect.forEach(["GET /large HTTP/1.1\r\nhost: a\r\n\r\n", post("{}")], (request) =>
          Effect.gen(function* () {
            const client = talk(yield* server.connect)
            client.duplex.pause()
            yield* client.write(request)
            return client
          })
        )
        yield* until(Effect.sync(() => served === 2))
        yield* Effect.repeat(turn, { times: 50 })
        const closing = yield* Effect.forkChild(server.close)
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust(20)
          yield* turn
        }
        assert.isUndefined(closing.pollUnsafe())
        for (const client of slow) {
          client.duplex.resume()
          // head, quotes of JSON and all
          assert.isAbove((yield* client.closed).length, text.length)
        }
        yield* Fiber.join(closing)
      })
    )

    it.effect("cuts what hangs when the drain timeout is over, and the handlers are interrupted", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, drainTimeout: 3000 })
        const { echo } = yield* clientOf(server)
        const http = talk(yield* server.connect)
        yield* http.write(post('{"delayMs":1000000000}'))
        const hung = yield* Effect.forkChild(
          Effect.all([Effect.flip(echo.unary({ delayMs: 1_000_000_000 })), Effect.flip(Stream.runDrain(echo.bidi(Stream.never)))], {
            concurrency: "unbounded"
          })
        )
        yield* reaches(server.journal.open, 3)
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 10 })
        yield* TestClock.adjust(2999)
        assert.isUndefined(closing.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* Fiber.join(closing)
        for (const failure of yield* Fiber.join(hung)) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.strictEqual(failure.grpc, Grpc.UNAVAILABLE)
        }
        yield* http.closed
        yield* settled(server.journal)
        assert.strictEqual(server.journal.interrupted.ref.current, 3)
      })
    )

    it.effect("has ended its handlers when it has closed", () =>
      Effect.gen(function* () {
        const events: Array<string> = []
        const wait = Effect.onInterrupt(
          Effect.andThen(
            Effect.sync(() => events.push("runs")),
            Effect.never
          ),
          () =>
            Effect.andThen(
              turn,
              Effect.sync(() => events.push("cleaned up"))
            )
        )
        const server = yield* serve({ wire, drainTimeout: 10, implementation: implement({ unary: () => wait }) })
        const { echo } = yield* clientOf(server)
        yield* Effect.forkChild(Effect.exit(echo.unary({})))
        yield* until(Effect.sync(() => events.length === 1))
        const closing = yield* Effect.forkChild(
          Effect.andThen(
            server.close,
            Effect.sync(() => events.push("closed"))
          )
        )
        yield* Effect.repeat(turn, { times: 10 })
        yield* TestClock.adjust(10)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(events, ["runs", "cleaned up", "closed"])
      })
    )

    it.effect("tells HTTP/2 clients, who take later calls to another server", () =>
      Effect.gen(function* () {
        const { gate, implementation, seen } = yield* gated
        const old = yield* serve({ wire, implementation })
        const fresh = yield* serve({ wire: { name: wire.name, network: Layer.succeed(Network.Network, old.network) } })
        const addresses = [old, fresh].map(({ address }) => `${address.host}:${address.port}`).join(",")
        const context = yield* Layer.build(
          Echo.client(`direct:///${addresses}`).pipe(
            Layer.provide(Channels.layerDirect),
            Layer.provide(Layer.succeed(Network.Network, old.network))
          )
        )
        const echo = Context.get(context, Echo)
        const held = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 4 }, () => echo.unary({ text: "held" })),
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => seen.waiting >= 1))
        const before = yield* settles(() => seen.waiting)
        const closing = yield* Effect.forkChild(old.close)
        yield* Effect.repeat(turn, { times: 20 })
        for (let i = 0; i < 10; i++) assert.strictEqual((yield* echo.unary({ text: "new" })).text, "new")
        assert.strictEqual(seen.waiting, before)
        yield* gate.open
        assert.lengthOf(yield* Fiber.join(held), 4)
        yield* Fiber.join(closing)
      })
    )

    it.effect("is not held up by watches of its health", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire })
        const context = yield* Layer.build(
          Health.client("discovery:///x").pipe(
            Layer.provide(Channels.layerTo(server.address)),
            Layer.provide(Layer.succeed(Network.Network, server.network))
          )
        )
        let seen = 0
        const watches = yield* Effect.forkChild(
          Effect.all(
            ["", "nobody"].map((service) =>
              Stream.runForEach(Context.get(context, Health).watch({ service }), () => Effect.sync(() => seen++))
            ),
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => seen === 2))
        yield* server.close
        yield* Fiber.join(watches)
      })
    )

    it.effect("is not held up by a client that does not answer", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, drainTimeout: 1000 })
        const { connection } = rawClient(yield* server.connect)
        yield* Effect.repeat(turn, { times: 5 })
        connection.duplex.pause()
        const closing = yield* Effect.forkChild(server.close)
        yield* Effect.repeat(turn, { times: 20 })
        yield* TestClock.adjust(1000)
        yield* Fiber.join(closing)
        connection.duplex.destroy()
      })
    )
  })
}
