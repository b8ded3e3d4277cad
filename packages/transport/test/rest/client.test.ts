import { create } from "@bufbuild/protobuf"
import * as CallModule from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as http from "node:http"
import type { Duplex } from "node:stream"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Network from "../../src/Network.ts"
import * as RequestPlan from "../../src/rest/RequestPlan.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"
import { Rest as RestDesc } from "../gen/test/v1/rest_pb.ts"
import { makeReplies, sends } from "../Harness.ts"
import { serveRest } from "./RestHarness.ts"

const planOf = (method: keyof typeof RestDesc.method) => Result.getOrThrow(RequestPlan.make(RestDesc.method[method])!)

const target = (method: keyof typeof RestDesc.method, init: object) => {
  const message = create(RestDesc.method[method].input, init as never)
  return Result.match(planOf(method).target(message, true), { onSuccess: (text) => text, onFailure: (error) => error })
}

describe("paths and queries of a client", () => {
  for (const [method, init, expected] of [
    ["getUser", { userId: "a b/c", postId: 7n, fullView: "x&y" }, "/v1/users/a%20b%2Fc/posts/7?fullView=x%26y"],
    ["getShelf", { name: "shelves/ä" }, "/v1/shelves/%C3%A4"],
    ["getFile", { name: "a/b c" }, "/v1/files/a/b%20c"],
    ["getFile", { name: "" }, "/v1/files"],
    ["getBook", { book: { name: "shelves/1/books/2/3", author: "me" }, view: "v" }, "/v1/shelves/1/books/2/3?book.author=me&view=v"],
    [
      "getTyped",
      { number: 0, big: 18_446_744_073_709_551_615n, flag: false, color: 1, at: { seconds: 1n } },
      "/v1/typed/0/18446744073709551615/false/COLOR_RED/1970-01-01T00%3A00%3A01Z"
    ],
    [
      "replaceWide",
      { id: "1", wide: { stringValue: "s" }, updateMask: { paths: ["string_value"] }, dryRun: true },
      "/v1/wide/1?dryRun=true&updateMask=stringValue"
    ],
    ["updateWide", { id: "1", wide: { stringValue: "s", int32Value: 1 } }, "/v1/wide/s?id=1"],
    ["createWide", { stringValue: "s" }, "/v1/wide"],
    ["cancelTask", { id: "1", note: "n" }, "/v1/tasks/1:cancel"],
    ["watchWide", { id: "..", note: "n" }, "/v1/wide/..:watch?note=n"],
    ["listWide", { tags: ["a", "b"], pageSize: 2 }, "/v1/wide?pageSize=2&tags=a&tags=b"]
  ] as const) {
    it(`${method} ${JSON.stringify(init, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`, () =>
      assert.strictEqual(target(method, init), expected))
  }

  for (const [method, init] of [
    ["getUser", { userId: "", postId: 7n }],
    ["getShelf", { name: "other/1" }],
    ["getBook", {}],
    ["getTyped", { color: 1 }],
    ["getWild", { id: "1" }]
  ] as const) {
    it(`${method} refuses ${JSON.stringify(init, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))}`, () => {
      const error = target(method, init)
      assert.instanceOf(error, KratosError.KratosError)
      assert.deepStrictEqual([error.code, error.reason], [400, "CODEC"])
    })
  }

  it("a body is the message, a field of it, or nothing", () => {
    const body = (method: keyof typeof RestDesc.method, init: object) => {
      const made = planOf(method).body?.(create(RestDesc.method[method].input, init as never), Json.make({ unset: "none" }))
      return made && Result.getOrThrow(Result.map(made, ({ bytes, contentType }) => `${contentType} ${Buffer.from(bytes).toString()}`))
    }
    assert.strictEqual(body("cancelTask", { id: "1" }), 'application/json {"id":"1"}')
    assert.strictEqual(body("replaceWide", { id: "1", wide: { stringValue: "s" } }), 'application/json {"stringValue":"s"}')
    assert.strictEqual(body("putTags", { tags: ["a"] }), 'application/json ["a"]')
    assert.strictEqual(body("upload", { file: { contentType: "text/plain", data: Buffer.from("hi") } }), "text/plain hi")
    assert.isUndefined(body("getUser", {}))
  })
})

/** A client of `Rest` on a network. */
const clientOf = Effect.fnUntraced(function* (
  { address, network }: { readonly address: Network.Address; readonly network: Network.NetworkShape },
  options: Client.Options = {},
  channels: Layer.Layer<Channels.Channels> = Channels.layerTo(address)
) {
  const context = yield* Layer.build(
    Layer.fresh(Rest.client("discovery:///rest", { protocol: "rest", ...options })).pipe(
      Layer.provide(Layer.fresh(channels)),
      Layer.provide(Layer.succeed(Network.Network, network))
    )
  )
  return Context.get(context, Rest)
})

describe("a client over REST", () => {
  for (const dialect of ["v3", "v2", "binary"] as const) {
    it.effect(`all ways to bind a call arrive as they were sent (${dialect})`, () =>
      Effect.gen(function* () {
        const server = yield* serveRest({
          getWide: (message) => Effect.succeed(message),
          createWide: (message) => Effect.succeed(message),
          replaceWide: (message: object) => Effect.succeed({ ...message, $typeName: "test.v1.UpdateWideReply" }),
          updateWide: ({ wide }: { readonly wide: object }) => Effect.succeed({ wide }),
          deleteWide: () => Effect.succeed({}),
          headWide: ({ id }: { readonly id: string }) => Effect.succeed({ id }),
          getUser: (message) => Effect.succeed(message),
          putTags: (message) => Effect.succeed(message),
          listWide: () => Effect.succeed({ items: [{ stringValue: "1" }, {}], nextPageToken: "lost" }),
          upload: ({
            file,
            folder,
            name
          }: {
            readonly name: string
            readonly folder: string
            readonly file: { readonly contentType: string; readonly data: Uint8Array }
          }) => Effect.succeed({ name: `${folder}/${name}`, contentType: file.contentType, size: BigInt(file.data.length) }),
          download: ({ name }: { readonly name: string }) => Effect.succeed({ contentType: "text/x-name", data: Buffer.from(name) })
        })
        const rest = yield* clientOf(server, { dialect })
        const wide = {
          stringValue: "s/ü",
          int64Value: -5n,
          doubles: [1.5, Number.NaN],
          labels: { "a.b": "c" },
          nested: { tags: ["x"] },
          maybeText: ""
        }
        const got = yield* rest.getWide(wide)
        assert.deepInclude({ ...got }, { stringValue: "s/ü", int64Value: -5n, doubles: [1.5, Number.NaN], labels: { "a.b": "c" } })
        assert.deepStrictEqual(got.nested?.tags, ["x"])
        assert.strictEqual((yield* rest.createWide(wide)).int64Value, -5n)
        const replaced = yield* rest.replaceWide({ id: "1", wide, dryRun: true, updateMask: { paths: ["string_value"] } })
        assert.deepStrictEqual(
          [replaced.id, replaced.dryRun, replaced.wide?.int64Value, replaced.updateMask?.paths],
          ["1", true, -5n, ["string_value"]]
        )
        assert.strictEqual((yield* rest.updateWide({ wide })).wide?.stringValue, "s/ü")
        assert.strictEqual((yield* rest.deleteWide({ id: "1" })).$typeName, "google.protobuf.Empty")
        assert.strictEqual((yield* rest.headWide({ id: "1" })).id, "")
        const user = yield* rest.getUser({ userId: "u", postId: 3n, fullView: "f" })
        assert.deepStrictEqual([user.userId, user.postId, user.fullView], ["u", 3n, "f"])
        assert.deepStrictEqual((yield* rest.putTags({ id: "1", tags: ["a", "b"] })).tags, ["a", "b"])
        const list = yield* rest.listWide({ pageSize: 1 })
        assert.deepStrictEqual([list.items.length, list.items[0]?.stringValue, list.nextPageToken], [2, "1", ""])
        const uploaded = yield* rest.upload({ name: "n", folder: "f", file: { contentType: "image/png", data: new Uint8Array(9) } })
        assert.deepStrictEqual([uploaded.name, uploaded.contentType, uploaded.size], ["f/n", "image/png", 9n])
        const file = yield* rest.download({ name: "nn" })
        assert.deepStrictEqual([file.contentType, Buffer.from(file.data).toString()], ["text/x-name", "nn"])
      })
    )
  }

  it.effect("a stream's path is that of its first message, and the others keep to it", () =>
    Effect.gen(function* () {
      const rest = yield* clientOf(yield* serveRest({ chat: (requests: Stream.Stream<object>) => requests }))
      const notes = yield* Stream.runCollect(rest.chat(Stream.make({ id: "a/b", note: "1" }, { id: "a/b", note: "2" })))
      assert.deepStrictEqual(
        notes.map(({ id, note }) => [id, note]),
        [
          ["a/b", "1"],
          ["a/b", "2"]
        ]
      )
      const strays = yield* Effect.flip(Stream.runDrain(rest.chat(Stream.make({ id: "a" }, { id: "b" }))))
      assert.deepStrictEqual([KratosError.code(strays), KratosError.reason(strays)], [400, "CODEC"])
      const none = yield* Effect.flip(Stream.runDrain(rest.chat(Stream.empty)))
      assert.strictEqual(KratosError.code(none), 400)
    })
  )

  it.effect("metadata goes both ways; what has no rule is UNIMPLEMENTED", () =>
    Effect.gen(function* () {
      const replies = makeReplies()
      const server = yield* serveRest({
        getShelf: () =>
          Effect.gen(function* () {
            const call = yield* CallModule.Call
            yield* CallModule.setReplyHeader("x-head", "h")
            return { name: (call.request.get("x-md-name") ?? []).join("|") }
          })
      })
      const rest = yield* clientOf(server, {
        aspects: (call) =>
          replies.aspect(sends({ "x-md-name": ["a", "b"], host: ["evil"], "content-type": ["x/y"], "content-length": ["9"] })(call))
      })
      assert.match((yield* rest.getShelf({ name: "shelves/1" })).name, /^a(, |\|)b$/)
      assert.deepStrictEqual(replies.headers[0]!["x-head"], ["h"])
      const failure = yield* Effect.flip(rest.implicit({}))
      assert.strictEqual(KratosError.code(failure), 501)
    })
  )

  it.effect("connections are used again; a node that is gone is passed over", () =>
    Effect.gen(function* () {
      const server = yield* serveRest({ getShelf: ({ name }: { readonly name: string }) => Effect.succeed({ name }) })
      let connects = 0
      const network: Network.NetworkShape = {
        ...server.network,
        connect: (to) => Effect.suspend(() => (connects++, server.network.connect(to)))
      }
      const rest = yield* clientOf({ address: server.address, network })
      for (let i = 0; i < 5; i++) yield* rest.getShelf({ name: "shelves/1" })
      assert.strictEqual(connects, 1)

      const { address } = server
      const direct = yield* Layer.build(
        Layer.fresh(Rest.client(`direct:///127.0.0.1:1,${address.host}:${address.port}`, { protocol: "rest" })).pipe(
          Layer.provide(Layer.fresh(Channels.layerDirect)),
          Layer.provide(Layer.succeed(Network.Network, network))
        )
      )
      for (let i = 0; i < 4; i++) assert.strictEqual((yield* Context.get(direct, Rest).getShelf({ name: "shelves/1" })).name, "shelves/1")
      yield* server.close
      const failure = yield* Effect.flip(rest.getShelf({ name: "shelves/1" }))
      assert.strictEqual(KratosError.code(failure), 503)
    })
  )
})

/** A server that answers as it is told. */
const scripted = Effect.fnUntraced(function* (
  handler: http.RequestListener,
  upgrade?: (socket: Duplex, request: http.IncomingMessage) => void
) {
  const server = http.createServer(handler)
  if (upgrade !== undefined) server.on("upgrade", (request, socket) => upgrade(socket, request))
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => (server.closeAllConnections(), server.close()))
  )
  const { port } = server.address() as { readonly port: number }
  const rest = yield* Layer.build(
    Layer.fresh(Rest.client(`127.0.0.1:${port}`, { protocol: "rest", maxMessageBytes: 1000 })).pipe(
      Layer.provide(Layer.fresh(Channels.layerDirect))
    )
  )
  return Context.get(rest, Rest)
})

describe("replies of other servers", () => {
  const answer =
    (status: number, type: string, body: string): http.RequestListener =>
    (request, response) => {
      request.resume()
      response.writeHead(status, { "content-type": type })
      response.end(body)
    }
  const unary = (rest: Context.Service.Shape<typeof Rest>) => rest.getShelf({ name: "shelves/1" })
  const watch = (rest: Context.Service.Shape<typeof Rest>) => Stream.runCollect(rest.watchWide({ id: "1" }))

  for (const [what, handler, call, code, reason] of [
    ["an error of Kratos v3", answer(409, "application/json", '{"code":409,"reason":"BUSY","message":"m"}'), unary, 409, "BUSY"],
    ["an error that is none of Kratos'", answer(502, "text/html", "<h1>no</h1>"), unary, 502, ""],
    ["a redirect", answer(302, "text/html", ""), unary, 302, ""],
    ["JSON that is none", answer(200, "application/json", "{"), unary, 500, ""],
    ["a reply over the limit", answer(200, "application/json", " ".repeat(2000)), unary, 429, ""],
    ["a stream that is none", answer(200, "application/json", "{}"), watch, 500, ""],
    ["a stream refused", answer(404, "application/json", '{"code":404,"reason":"NO","message":""}'), watch, 404, "NO"],
    ["an event over the limit", answer(200, "text/event-stream", `data: ${"x".repeat(2000)}\n\n`), watch, 429, ""],
    ["an event that does not decode", answer(200, "text/event-stream", "data: {\n\n"), watch, 500, ""],
    [
      "an error event",
      answer(200, "text/event-stream", 'event: error\ndata: {"code":418,"reason":"R","message":"m"}\n\n'),
      watch,
      418,
      "R"
    ],
    ["an error event in plain text", answer(200, "text/event-stream", "event: error\ndata: broken\n\n"), watch, 500, ""],
    ["a lost connection", (request, response) => void (request.resume(), response.destroy()), unary, 503, ""],
    [
      "a lost stream",
      (request, response) =>
        void (
          request.resume(),
          response.writeHead(200, { "content-type": "text/event-stream" }),
          response.write("data: {}\n\n"),
          setImmediate(() => response.destroy())
        ),
      watch,
      503,
      ""
    ]
  ] as ReadonlyArray<
    readonly [string, http.RequestListener, (rest: Context.Service.Shape<typeof Rest>) => Effect.Effect<unknown, unknown>, number, string]
  >) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(call(yield* scripted(handler)))
        assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [code, reason])
      })
    )
  }

  it.effect("names of other events and comments are skipped", () =>
    Effect.gen(function* () {
      const body = ': hello\n\nevent: other\ndata: {\n\ndata: {"id":"1"}\n\nevent: message\ndata: {"id":\ndata: "2"}\n\n'
      const replies = yield* watch(yield* scripted(answer(200, "text/event-stream; charset=utf-8", body)))
      assert.deepStrictEqual(
        replies.map(({ id }) => id),
        ["1", "2"]
      )
    })
  )

  it.effect("a request lost on a connection that was idle is sent again, when its method may be", () =>
    Effect.gen(function* () {
      let requests = 0
      const rest = yield* scripted((request, response) => {
        request.resume()
        // the second request of a connection meets its end
        if (++requests === 2) return void response.destroy()
        response.writeHead(200, { "content-type": "application/json" })
        response.end("{}")
      })
      yield* unary(rest)
      yield* unary(rest)
      assert.strictEqual(requests, 3)
      requests = 1
      const failure = yield* Effect.flip(rest.cancelTask({ id: "1" }))
      assert.deepStrictEqual([KratosError.code(failure), requests], [503, 2])
    })
  )

  it.effect("a WebSocket that is refused has the error of the reply", () =>
    Effect.gen(function* () {
      const body = '{"code":403,"reason":"NO","message":"m"}'
      const rest = yield* scripted(
        () => {},
        (socket) =>
          void socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
      )
      const failure = yield* Effect.flip(rest.collectIds(Stream.never))
      assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [403, "NO"])
    })
  )

  it.effect("the text of a Kratos server's error is read", () =>
    Effect.gen(function* () {
      const server = yield* serveRest({})
      const { parseError } = yield* Effect.promise(() => import("../../src/rest/WebSocketControl.ts"))
      assert.isDefined(server)
      for (const [text, code, reason, message, metadata] of [
        ["error: code = 404 reason = NO_ID message = no such id metadata = map[] cause = <nil>", 404, "NO_ID", "no such id", {}],
        ["error: code = 409 reason =  message = a metadata = map[k:v a:two words] cause = EOF", 409, "", "a", { k: "v", a: "two words" }],
        ['{"code":400,"reason":"R","message":"m","metadata":{"k":"v"}}', 400, "R", "m", { k: "v" }],
        ["anything else", 500, "", "anything else", {}],
        ["{broken", 500, "", "{broken", {}]
      ] as const) {
        const error = parseError(text)
        assert.deepStrictEqual<unknown>([error.code, error.reason, error.message, error.metadata], [code, reason, message, metadata])
      }
    })
  )
})
