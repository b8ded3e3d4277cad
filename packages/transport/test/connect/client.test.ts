/** Our Connect client: against our own server over HTTP/2 in memory, and against connect-node's server. */
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Deadline from "@effect-kratos/core/Deadline"
import { Connection } from "@effect-kratos/http2/Connection"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import type * as Client from "../../src/Client.ts"
import * as Network from "../../src/Network.ts"
import { Echo as EchoDesc } from "../gen/test/v1/echo_pb.ts"
import { ThingNotFound } from "../gen/test/v1/reason_effect.ts"
import { clientOf, implement, join, makeReplies, reaches, sends } from "../Harness.ts"

const connect = { protocol: "connect" } as const

const texts = (...values: ReadonlyArray<string>) => Stream.fromIterable(values.map((text) => ({ text })))

describe("Connect on both ends", () => {
  for (const compression of [undefined, "gzip"] as const) {
    it.effect(`all kinds, ${compression ?? "not"} compressed`, () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ client: { ...connect, compression } })
        const payload = new Uint8Array(200_000).map((_, i) => i % 7)
        assert.deepStrictEqual((yield* echo.unary({ text: "héllo", payload })).payload, payload)
        assert.strictEqual((yield* echo.unary({})).text, "")
        const replies = yield* Stream.runCollect(echo.serverStream({ text: "s", count: 500, payload: new Uint8Array(1000) }))
        assert.deepStrictEqual(
          replies.map((reply) => reply.index),
          Array.from({ length: 500 }, (_, i) => i)
        )
        assert.strictEqual((yield* echo.clientStream(texts("a", "b"))).text, "a,b")
        const bidi = yield* Stream.runCollect(echo.bidi(texts("a", "b", "c")))
        assert.deepStrictEqual(
          bidi.map((reply) => reply.text),
          ["a", "b", "c"]
        )
      })
    )
  }

  it.effect("the contract's errors arrive as their classes; others as KratosError without detail", () =>
    Effect.gen(function* () {
      const { echo } = yield* join({ client: connect })
      const request = { text: "t", failReason: "THING_NOT_FOUND", count: 2 }
      for (const call of [echo.unary(request), Stream.runDrain(echo.serverStream(request)), echo.clientStream(Stream.succeed(request))]) {
        const error = yield* Effect.flip(call as Effect.Effect<unknown, ThingNotFound>)
        assert.instanceOf(error, ThingNotFound)
        assert.deepStrictEqual(error.metadata, { text: "t" })
      }
      const secret = yield* Effect.flip(echo.unary({ failReason: "BOOM" }))
      assert.instanceOf(secret, KratosError.KratosError)
      assert.strictEqual(secret.message, "internal error")
    })
  )

  it.effect("metadata of all three sections; the call says that it is Connect's", () =>
    Effect.gen(function* () {
      const replies = makeReplies()
      const seen: Array<string> = []
      const { echo } = yield* join({
        client: { ...connect, aspects: (call) => replies.aspect(sends({ "x-md-one": ["uno"], "x-md-two-bin": ["AAH/"] })(call)) },
        implementation: implement({
          *unary() {
            const call = yield* Call
            seen.push(
              call.transport,
              ...[...call.request.keys()].filter((name) => name.startsWith("connect-") || name.endsWith("encoding"))
            )
            call.reply.set("x-md-head", [call.request.get("x-md-one")![0]!])
            call.trailers.set("x-md-tail-bin", [...call.request.get("x-md-two-bin")!])
            return {}
          }
        })
      })
      yield* echo.unary({})
      assert.deepStrictEqual(seen, ["connect"])
      assert.deepStrictEqual(replies.headers[0]?.["x-md-head"], ["uno"])
      assert.deepStrictEqual(replies.trailers[0], { "x-md-tail-bin": ["AAH/"] })
    })
  )

  it.effect("an interrupt reaches the handler; a deadline ends both ends", () =>
    Effect.gen(function* () {
      const { echo, journal } = yield* join({ client: connect })
      const fiber = yield* Effect.forkChild(echo.unary({ delayMs: 1_000_000 }))
      yield* reaches(journal.open, 1)
      yield* Fiber.interrupt(fiber)
      yield* reaches(journal.interrupted, 1)
      const late = yield* Effect.forkChild(
        Effect.flip(Effect.provideService(Stream.runDrain(echo.serverStream({ delayMs: 1_000_000 })), Deadline.Current, 60_000))
      )
      yield* reaches(journal.open, 1)
      yield* TestClock.adjust("61 seconds")
      const error = yield* Fiber.join(late)
      assert.strictEqual(KratosError.code(error), 504)
      yield* reaches(journal.interrupted, 2)
      assert.strictEqual(yield* Ref.get(journal.open), 0)
    })
  )

  it.effect("replies over the limit fail; the limit itself passes", () =>
    Effect.gen(function* () {
      const { echo } = yield* join({ client: { ...connect, maxMessageBytes: 1000 } })
      const request = { payload: new Uint8Array(2000) }
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary(request))), 429)
      assert.strictEqual(KratosError.code(yield* Effect.flip(Stream.runDrain(echo.serverStream(request)))), 429)
      assert.strictEqual((yield* echo.unary({ payload: new Uint8Array(900) })).payload.length, 900)
    })
  )

  for (const protocol of ["grpc", "connect"] as const) {
    it.effect(`a complete call over ${protocol} resets nothing`, () =>
      Effect.gen(function* () {
        const reset = Connection.prototype.resetStream
        let resets = 0
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            Connection.prototype.resetStream = function (stream, code) {
              resets++
              reset.call(this, stream, code)
            }
          }),
          () => Effect.sync(() => (Connection.prototype.resetStream = reset))
        )
        const { echo } = yield* join({ client: { protocol } })
        for (let i = 0; i < 5; i++) {
          yield* echo.unary({ text: "x" })
          yield* Effect.flip(echo.unary({ failReason: "TEAPOT" }))
          yield* Stream.runDrain(echo.serverStream({ count: 3 }))
          yield* Stream.runDrain(echo.bidi(texts("a")))
        }
        assert.strictEqual(resets, 0)
      })
    )
  }
})

describe("our Connect client and connect-node's server", () => {
  const routes = (router: ConnectRouter) =>
    router.service(EchoDesc, {
      unary: (request, context) => {
        context.responseHeader.set("x-head", "h")
        context.responseTrailer.set("x-tail", context.requestHeader.get("x-md-one") ?? "")
        if (request.failReason === "") return { text: request.text, payload: request.payload }
        const info = { desc: ErrorInfoSchema, value: { reason: request.failReason, metadata: { text: request.text } } }
        throw new ConnectError("as asked", Code.NotFound, undefined, [info])
      },
      async *serverStream(request) {
        for (let index = 0; index < request.count; index++) yield { index, payload: request.payload }
        if (request.failReason !== "")
          throw new ConnectError("late", Code.NotFound, undefined, [{ desc: ErrorInfoSchema, value: { reason: request.failReason } }])
      },
      async clientStream(requests) {
        const all: Array<string> = []
        for await (const request of requests) all.push(request.text)
        return { text: all.join(",") }
      },
      async *bidi(requests) {
        for await (const request of requests) yield { text: request.text }
      }
    })

  const peer = Effect.acquireRelease(
    Effect.callback<http2.Http2Server>((resume) => {
      const server = http2.createServer(connectNodeAdapter({ routes }))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  ).pipe(
    // a server that listens on a port has such an address
    Effect.map((server) => ({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }))
  )

  const clientOfPeer = (options?: Client.Options) =>
    Effect.gen(function* () {
      const address = yield* peer
      const network = yield* Network.Network
      return yield* clientOf({ address, network }, { ...connect, ...options })
    })

  it.effect("all kinds, plain and compressed", () =>
    Effect.gen(function* () {
      for (const compression of [undefined, "gzip"] as const) {
        const { close, echo } = yield* clientOfPeer({ compression })
        const payload = new Uint8Array(100_000).map((_, i) => i)
        assert.deepStrictEqual((yield* echo.unary({ text: "a", payload })).payload, payload)
        const replies = yield* Stream.runCollect(echo.serverStream({ count: 200, payload: new Uint8Array(5000) }))
        assert.deepStrictEqual(
          replies.map((reply) => [reply.index, reply.payload.length]),
          Array.from({ length: 200 }, (_, i) => [i, 5000])
        )
        assert.strictEqual((yield* echo.clientStream(texts("a", "b"))).text, "a,b")
        assert.strictEqual((yield* Stream.runCollect(echo.bidi(texts("a", "b")))).length, 2)
        yield* close
      }
    })
  )

  it.effect("errors and metadata", () =>
    Effect.gen(function* () {
      const replies = makeReplies()
      const { close, echo } = yield* clientOfPeer({ aspects: (call) => replies.aspect(sends({ "x-md-one": ["uno"] })(call)) })
      yield* echo.unary({})
      assert.deepStrictEqual(replies.headers[0]?.["x-head"], ["h"])
      assert.deepStrictEqual(replies.trailers[0]?.["x-tail"], ["uno"])
      const error = yield* Effect.flip(echo.unary({ text: "t", failReason: "THING_NOT_FOUND" }))
      assert.instanceOf(error, ThingNotFound)
      assert.deepStrictEqual(error.metadata, { text: "t" })
      const late: Array<number> = []
      const stream = echo.serverStream({ count: 2, failReason: "THING_NOT_FOUND" })
      const exit = yield* Effect.exit(Stream.runForEach(stream, (reply) => Effect.sync(() => late.push(reply.index))))
      assert.deepStrictEqual(late, [0, 1])
      assert.instanceOf(Exit.isFailure(exit) && Cause.squash(exit.cause), ThingNotFound)
      // no such method there
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.old({}))), 501)
      yield* close
    })
  )
})
