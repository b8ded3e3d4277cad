/** Our clients of gRPC-Web and Connect over HTTP/1.1, against a server that answers as it is told: connections, nodes, and replies that are none. */
import { create, toBinary } from "@bufbuild/protobuf"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { FindRequestSchema } from "../gen/test/v1/catalog_pb.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { EchoReplySchema } from "../gen/test/v1/echo_pb.ts"
import { until } from "../Harness.ts"

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void

/** A server on a free port, and what it has seen. */
const serve = (answer: Answer) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly server: http.Server
      readonly target: string
      readonly seen: { requests: number; connections: number; closed: number }
    }>((resume) => {
      const seen = { requests: 0, connections: 0, closed: 0 }
      const server = http.createServer((request, response) => {
        seen.requests++
        answer(request, response)
      })
      server.on("connection", (socket) => {
        seen.connections++
        socket.on("close", () => seen.closed++)
      })
      server.listen(0, "127.0.0.1", () =>
        // it listens on a port
        resume(Effect.succeed({ server, seen, target: `direct:///127.0.0.1:${(server.address() as AddressInfo).port}` }))
      )
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

const clientOf = Effect.fnUntraced(function* (target: string, options: Client.Options) {
  const context = yield* Layer.build(
    Layer.fresh(Layer.mergeAll(Echo.client(target, options), Catalog.client(target, options))).pipe(Layer.provide(Channels.layerDirect))
  )
  return { echo: Context.get(context, Echo), catalog: Context.get(context, Catalog) }
})

const connect = { protocol: "connect", http: "1.1" } as const
const web = { protocol: "grpc-web", http: "1.1" } as const

const echoed = toBinary(EchoReplySchema, create(EchoReplySchema, { text: "hi" }))
const envelope = (flags: number, content: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(content)
  const prefix = Buffer.from([flags, 0, 0, 0, 0])
  prefix.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([prefix, bytes])
}
const message = envelope(0, echoed)
const fine = envelope(0x80, "Grpc-Status: 0\r\n")

const proto: Answer = (request, response) => {
  request.resume()
  request.once("end", () => response.writeHead(200, { "content-type": "application/proto" }).end(echoed))
}

describe("a client over HTTP/1.1", () => {
  it.effect("keeps its connection for the next call; one that was interrupted goes with its call", () =>
    Effect.gen(function* () {
      let hang = false
      const { seen, target } = yield* serve((request, response) => (hang ? void request.resume() : proto(request, response)))
      const { echo } = yield* clientOf(target, connect)
      for (let i = 0; i < 3; i++) assert.strictEqual((yield* echo.unary({})).text, "hi")
      assert.strictEqual(seen.connections, 1)
      hang = true
      const fiber = yield* Effect.forkChild(echo.unary({}))
      yield* until(Effect.sync(() => seen.requests === 4))
      yield* Fiber.interrupt(fiber)
      yield* until(Effect.sync(() => seen.closed === 1))
      hang = false
      assert.strictEqual((yield* echo.unary({})).text, "hi")
      assert.strictEqual(seen.connections, 2)
    })
  )

  it.effect("passes over a node that cannot be reached, with requests that are streamed too", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Effect.map(serve(proto), ({ target }) => target))
      const bodies: Array<number> = []
      const { target } = yield* serve((request, response) => {
        let length = 0
        request.on("data", (chunk: Buffer) => (length += chunk.length))
        request.once("end", () => {
          bodies.push(length)
          response.writeHead(200, { "content-type": "application/grpc-web+proto" }).end(Buffer.concat([message, fine]))
        })
      })
      const peers: Array<string> = []
      const { echo } = yield* clientOf(`${gone},${target.slice("direct:///".length)}`, {
        ...web,
        aspects: (call) =>
          Effect.withFiber((fiber) => Effect.onExit(call, () => Effect.sync(() => peers.push(Context.getUnsafe(fiber.context, Call).peer))))
      })
      const payload = new Uint8Array(100_000)
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* echo.unary({ payload })).text, "hi")
      for (let i = 0; i < 2; i++) {
        assert.strictEqual((yield* echo.clientStream(Stream.make({ payload }, { payload }, { payload }))).text, "hi")
      }
      assert.deepStrictEqual(
        bodies.map((length) => Math.round(length / 100_000)),
        [1, 1, 3, 3]
      )
      assert.deepStrictEqual(new Set(peers), new Set([target.slice("direct:///".length)]))
    })
  )

  it.effect("fails with 503 when there is no node, or the connection is lost; a request that was sent is not sent again", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Effect.map(serve(proto), ({ target }) => target))
      const nowhere = yield* clientOf(gone, connect)
      assert.strictEqual(KratosError.code(yield* Effect.flip(nowhere.echo.unary({}))), 503)
      assert.strictEqual(KratosError.code(yield* Effect.flip(nowhere.echo.clientStream(Stream.make({})))), 503)

      const { seen, target } = yield* serve((request, response) => {
        if (request.url?.endsWith("Unary") === true) return void request.socket.destroy()
        response.writeHead(200, { "content-type": "application/connect+proto" })
        response.write(message, () => request.socket.destroy())
      })
      const { echo } = yield* clientOf(target, connect)
      const replies: Array<string> = []
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary({}))), 503)
      const streamed = Stream.runForEach(echo.serverStream({}), ({ text }) => Effect.sync(() => replies.push(text)))
      assert.strictEqual(KratosError.code(yield* Effect.flip(streamed)), 503)
      assert.deepStrictEqual([seen.requests, replies], [2, ["hi"]])
    })
  )

  it.effect("ends with a reply that comes before its request is complete, and closes the connection", () =>
    Effect.gen(function* () {
      const { seen, target } = yield* serve((_, response) =>
        response.writeHead(200, { "content-type": "application/grpc-web+proto", "grpc-status": "8", "grpc-message": "enough" }).end()
      )
      const { echo } = yield* clientOf(target, web)
      const error = yield* Effect.flip(echo.clientStream(Stream.concat(Stream.make({}), Stream.never)))
      assert.deepInclude({ ...error, message: error.message }, { code: 429, message: "enough" })
      yield* until(Effect.sync(() => seen.closed === 1))
    })
  )

  it.effect("has no gRPC", () =>
    Effect.gen(function* () {
      const { echo } = yield* clientOf("direct:///127.0.0.1:1", { http: "1.1" })
      const error = yield* Effect.flip(echo.unary({}))
      assert.strictEqual(KratosError.code(error), 501)
      assert.include(error.message, "HTTP/2")
    })
  )

  for (const codec of ["proto", "json"] as const) {
    for (const compression of [undefined, "gzip"] as const) {
      it.effect(`gets what has no side effects when it is asked to (${codec}, ${compression ?? "not"} compressed)`, () =>
        Effect.gen(function* () {
          const asked: Array<readonly [method: string | undefined, url: URL, headers: http.IncomingHttpHeaders]> = []
          const { target } = yield* serve((request, response) => {
            asked.push([request.method, new URL(request.url!, "http://x"), request.headers])
            request.resume()
            request.once("end", () => response.writeHead(200, { "content-type": `application/${codec}` }).end(codec === "json" ? "{}" : ""))
          })
          const options = { ...connect, codec, compression, useGet: true }
          const { catalog, echo } = yield* clientOf(target, options)
          yield* catalog.find({ title: "ä~" })
          yield* catalog.find({ title: "", cover: Uint8Array.from({ length: 20_000 }, (_, i) => (i * i * 7919) >> 5) })
          yield* echo.unary({})
          yield* (yield* clientOf(target, { ...options, useGet: false })).catalog.find({ title: "a" })
          assert.deepStrictEqual(
            asked.map(([method]) => method),
            ["GET", "POST", "POST", "POST"]
          )
          const [, { pathname, searchParams }, headers] = asked[0]!
          assert.strictEqual(pathname, "/test.v1.Catalog/Find")
          const sent = Buffer.from(searchParams.get("message")!, "base64url")
          const plain = compression === undefined ? sent : gunzipSync(sent)
          if (codec === "json") assert.strictEqual(JSON.parse(plain.toString()).title, "ä~")
          else assert.deepStrictEqual([...plain], [...toBinary(FindRequestSchema, create(FindRequestSchema, { title: "ä~" }))])
          assert.deepStrictEqual(
            [searchParams.get("connect"), searchParams.get("encoding"), searchParams.get("base64"), searchParams.get("compression")],
            ["v1", codec, "1", compression ?? null]
          )
          assert.notProperty(headers, "content-type")
          assert.notProperty(headers, "content-encoding")
        })
      )
    }
  }

  it.effect("gets again what was lost with a connection that had been idle", () =>
    Effect.gen(function* () {
      let requests = 0
      const { target } = yield* serve((request, response) => {
        if (++requests === 2) return void request.socket.destroy()
        response.writeHead(200, { "content-type": "application/proto" }).end()
      })
      const { catalog } = yield* clientOf(target, { ...connect, useGet: true })
      yield* catalog.find({ title: "a" })
      yield* catalog.find({ title: "a" })
      assert.strictEqual(requests, 3)
    })
  )
})

describe("replies of gRPC-Web", () => {
  const type = { "content-type": "application/grpc-web+proto" }
  for (const [what, status, headers, body, code, options] of [
    ["without trailers", 200, type, message, Grpc.INTERNAL, {}],
    ["of nothing", 200, type, Buffer.alloc(0), Grpc.INTERNAL, {}],
    ["that end inside an envelope", 200, type, message.subarray(0, 6), Grpc.INTERNAL, {}],
    ["of another status", 503, { "content-type": "text/plain" }, Buffer.from("busy"), Grpc.UNAVAILABLE, {}],
    ["of another type", 200, { "content-type": "text/html" }, Buffer.from("<p>"), Grpc.UNKNOWN, {}],
    ["of gRPC proper", 200, { "content-type": "application/grpc" }, Buffer.concat([message, fine]), Grpc.UNKNOWN, {}],
    ["with unknown flags", 200, type, Buffer.concat([envelope(2, echoed), fine]), Grpc.INTERNAL, {}],
    ["compressed, unannounced", 200, type, Buffer.concat([envelope(1, echoed), fine]), Grpc.INTERNAL, {}],
    ["compressed by what nobody knows", 200, { ...type, "grpc-encoding": "snappy" }, Buffer.concat([message, fine]), Grpc.INTERNAL, {}],
    ["that go on behind their trailers", 200, type, Buffer.concat([message, fine, message]), Grpc.INTERNAL, {}],
    ["with a message that is none", 200, type, Buffer.concat([envelope(0, Buffer.from([255])), fine]), Grpc.INTERNAL, {}],
    ["with too many messages", 200, type, Buffer.concat([message, message, fine]), Grpc.UNIMPLEMENTED, {}],
    ["with no message", 200, type, fine, Grpc.UNIMPLEMENTED, {}],
    ["over the limit", 200, type, Buffer.concat([message, fine]), Grpc.RESOURCE_EXHAUSTED, { maxMessageBytes: 3 }],
    ["with endless trailers", 200, type, Buffer.concat([message, envelope(0x80, Buffer.alloc(70_000, 97))]), Grpc.RESOURCE_EXHAUSTED, {}],
    ["without a status", 200, type, Buffer.concat([message, envelope(0x80, "a: b\r\n")]), Grpc.UNKNOWN, {}],
    ["that failed", 200, type, envelope(0x80, "grpc-message:no%20one\r\nGRPC-Status: 5"), Grpc.NOT_FOUND, {}],
    ["that failed in their head", 200, { ...type, "grpc-status": "5" }, Buffer.alloc(0), Grpc.NOT_FOUND, {}]
  ] as const) {
    it.effect(`${what} are ${code}`, () =>
      Effect.gen(function* () {
        const { target } = yield* serve((request, response) => {
          request.resume()
          request.once("end", () => response.writeHead(status, headers).end(body))
        })
        const { echo } = yield* clientOf(target, { ...web, ...options })
        const error = yield* Effect.flip(echo.unary({}))
        assert.instanceOf(error, KratosError.KratosError)
        assert.strictEqual(error.grpc, code)
        if (what === "that failed") assert.strictEqual(error.message, "no one")
      })
    )
  }

  it.effect("that are whole come whole, in any cut", () =>
    Effect.gen(function* () {
      const { target } = yield* serve((request, response) => {
        request.resume()
        response.writeHead(200, type)
        const whole = Buffer.concat([message, message, fine])
        const next = (i: number): void => {
          if (i === whole.length) return void response.end()
          response.write(whole.subarray(i, i + 1), () => next(i + 1))
        }
        request.once("end", () => next(0))
      })
      const { echo } = yield* clientOf(target, web)
      const replies = yield* Stream.runCollect(echo.serverStream({}))
      assert.deepStrictEqual(
        replies.map(({ text }) => text),
        ["hi", "hi"]
      )
    })
  )
})
