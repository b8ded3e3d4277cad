/** HTTP on real sockets: REST, a user's routes, probes; both versions alike. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { reaches, serve, settled, sockets, turn, until } from "./Harness.ts"
import { rawClient } from "./Raw.ts"
import { talk, versions } from "./RawHttp.ts"

const ECHO = "/test/v1/echo"
const json = { "content-type": "application/json" }
const start = (options: Parameters<typeof serve>[0] = {}) => serve({ wire: sockets, ...options })

for (const version of versions) {
  describe(`${version.name}: REST`, () => {
    it.effect("calls a method and answers in JSON", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start())
        const reply = yield* send("POST", ECHO, { headers: json, body: '{"text":"hi","payload":"AAE="}' })
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(reply.headers["content-type"], "application/json")
        assert.strictEqual(reply.headers["content-length"], String(reply.body.length))
        assert.deepInclude(JSON.parse(reply.body), { text: "hi", payload: "AAE=" })
      })
    )

    it.effect("answers what is no call of a method", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start({ maxBodyBytes: 1000 }))
        const rows = [
          ["GET", "/nothing", undefined, 404],
          ["GET", ECHO, undefined, 405],
          ["DELETE", ECHO, undefined, 405],
          ["POST", ECHO, { headers: { "content-type": "text/plain" }, body: "x" }, 415],
          ["POST", ECHO, { headers: json, body: "{" }, 400],
          ["POST", ECHO, { headers: json, body: '{"text":5}' }, 400],
          ["POST", ECHO, { headers: json, body: `{"text":"${"x".repeat(1000)}"}` }, 413],
          ["POST", ECHO, { headers: { ...json, "x-timeout-ms": "soon" }, body: "{}" }, 400]
        ] as const
        for (const [method, target, request, status] of rows) {
          const reply = yield* send(method, target, request)
          assert.strictEqual(reply.status, status, `${method} ${target} ${reply.body}`)
          const body = JSON.parse(reply.body)
          assert.deepStrictEqual(Object.keys(body), ["code", "reason", "message", "metadata"])
          assert.strictEqual(body.code, status)
          assert.notMatch(reply.body, /node_modules|\bat .*:\d+/)
        }
        assert.strictEqual((yield* send("GET", ECHO)).headers["allow"], "OPTIONS, POST")
        const options = yield* send("OPTIONS", ECHO)
        assert.deepStrictEqual([options.status, options.headers["allow"], options.body], [204, "OPTIONS, POST", ""])
      })
    )

    it.effect("errors are Kratos' body under their own status, defects say nothing", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start())
        const teapot = yield* send("POST", ECHO, { headers: json, body: '{"failReason":"TEAPOT","text":"t"}' })
        assert.strictEqual(teapot.status, 418)
        assert.deepStrictEqual(JSON.parse(teapot.body), {
          code: 418,
          reason: "TEAPOT",
          message: "failed as asked: TEAPOT",
          metadata: { text: "t" }
        })
        const defect = yield* send("POST", ECHO, { headers: json, body: '{"failReason":"hunter2"}' })
        assert.strictEqual(defect.status, 500)
        assert.notInclude(defect.body, "hunter2")
      })
    )

    it.effect("metadata comes as headers and goes back as headers", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start())
        const reply = yield* send("POST", ECHO, { headers: { ...json, "x-md-name": "ada" }, body: '{"echoMetadata":["x-md-name"]}' })
        assert.deepStrictEqual(JSON.parse(reply.body).metadata, { "x-md-name": "ada" })
        assert.strictEqual(reply.headers["x-md-name"], "ada")
        assert.strictEqual(reply.headers["trailer"] ?? reply.headers["x-trailer"], undefined, "trailer is a field of the wire")
      })
    )

    it.effect("deadlines in headers end the handler with 504", () =>
      Effect.gen(function* () {
        const server = yield* start()
        const send = version.send(server)
        for (const [i, headers] of [{ "x-timeout-ms": "500" }, { "grpc-timeout": "500m" }].entries()) {
          const fiber = yield* Effect.forkChild(send("POST", ECHO, { headers: { ...json, ...headers }, body: '{"delayMs":1000000}' }))
          yield* reaches(server.journal.open, 1)
          yield* TestClock.adjust(510)
          assert.strictEqual((yield* Fiber.join(fiber)).status, 504)
          assert.strictEqual(server.journal.interrupted.ref.current, i + 1)
        }
      })
    )

    it.effect("HEAD has the head of GET and no body", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start())
        const get = yield* send("GET", "/livez")
        const head = yield* send("HEAD", "/livez")
        assert.deepStrictEqual([get.status, get.body], [200, "ok\n"])
        assert.deepStrictEqual([head.status, head.body, head.headers["content-length"]], [200, "", "3"])
      })
    )
  })

  describe(`${version.name}: a user's routes`, () => {
    let chunks = 0
    let interrupted = 0
    const routes = Layer.mergeAll(
      HttpRouter.add(
        "GET",
        "/hello/:name",
        Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.text(`hello ${name}`))
      ),
      HttpRouter.add(
        "POST",
        "/upper",
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
          Effect.map(Effect.orDie(request.text), (text) => HttpServerResponse.text(text.toUpperCase()))
        )
      ),
      HttpRouter.add("GET", "/none", HttpServerResponse.empty({ status: 404 })),
      HttpRouter.add("GET", "/die", Effect.die(new Error("hunter2"))),
      HttpRouter.add("GET", "/stream", HttpServerResponse.stream(Stream.range(1, 1000).pipe(Stream.map((n) => Buffer.from(`${n}\n`))))),
      HttpRouter.add(
        "GET",
        "/idle",
        HttpServerResponse.stream(
          Stream.concat(Stream.make(Buffer.from("first\n")), Stream.never).pipe(
            Stream.tap(() => Effect.sync(() => chunks++)),
            Stream.ensuring(Effect.sync(() => interrupted++))
          )
        )
      ),
      HttpRouter.add(
        "GET",
        "/wait",
        Effect.onInterrupt(
          Effect.andThen(
            Effect.sync(() => chunks++),
            Effect.never
          ),
          () => Effect.sync(() => interrupted++)
        )
      )
    )

    it.effect("are served beside the services", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start({ routes }))
        assert.strictEqual((yield* send("GET", "/hello/ada")).body, "hello ada")
        assert.strictEqual((yield* send("POST", "/upper", { body: "loud" })).body, "LOUD")
        assert.strictEqual((yield* send("GET", "/none")).status, 404)
        assert.strictEqual((yield* send("GET", "/nowhere")).status, 404)
        assert.strictEqual((yield* send("TRACE", "/hello/ada")).status >= 400, true)
        assert.strictEqual((yield* send("POST", ECHO, { headers: json, body: "{}" })).status, 200)
        const died = yield* send("GET", "/die")
        assert.strictEqual(died.status, 500)
        assert.notInclude(died.body, "hunter2")
      })
    )

    it.effect("read no body over the limit", () =>
      Effect.gen(function* () {
        const read = HttpRouter.add(
          "POST",
          "/read",
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            Effect.map(request.text, (text) => HttpServerResponse.text(text))
          )
        )
        // what reads a body may fail, which this helper's type has no room for
        const send = version.send(yield* start({ routes: read as typeof routes, maxBodyBytes: 1000 }))
        assert.strictEqual((yield* send("POST", "/read", { body: "x".repeat(1000) })).status, 200)
        assert.strictEqual((yield* send("POST", "/read", { body: "x".repeat(1001) })).status, 413)
      })
    )

    it.effect("stream their replies", () =>
      Effect.gen(function* () {
        const send = version.send(yield* start({ routes }))
        const reply = yield* send("GET", "/stream")
        assert.strictEqual(reply.body.trim().split("\n").length, 1000)
      })
    )

    it.effect("are interrupted when the client goes away, also between two chunks", () =>
      Effect.gen(function* () {
        const server = yield* start({ routes })
        for (const target of ["/wait", "/idle"]) {
          chunks = interrupted = 0
          const duplex = yield* server.connect
          if (version.name === "HTTP/2")
            yield* Effect.forkChild(rawClient(duplex).send(target, { fields: { ":method": "GET", "content-type": "", te: "" } }))
          else yield* talk(duplex).write(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`)
          yield* until(Effect.sync(() => chunks > 0))
          yield* turn
          assert.strictEqual(interrupted, 0)
          duplex.destroy()
          yield* until(Effect.sync(() => interrupted === 1))
        }
      })
    )
  })

  describe(`${version.name}: a client that goes away`, () => {
    it.effect("interrupts the handler", () =>
      Effect.gen(function* () {
        const server = yield* start()
        const duplex = yield* server.connect
        const body = '{"delayMs":1000000}'
        if (version.name === "HTTP/2") {
          yield* Effect.forkChild(rawClient(duplex).send(ECHO, { fields: { te: "", ...json }, body: [Buffer.from(body)] }))
        } else
          yield* talk(duplex).write(
            `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
          )
        yield* reaches(server.journal.open, 1)
        duplex.destroy()
        yield* settled(server.journal)
        assert.strictEqual(server.journal.interrupted.ref.current, 1)
      })
    )

    it.effect("in the middle of its body never reaches the handler", () =>
      Effect.gen(function* () {
        const server = yield* start()
        const duplex = yield* server.connect
        if (version.name === "HTTP/2") {
          yield* Effect.forkChild(rawClient(duplex).send(ECHO, { fields: { te: "", ...json }, body: [Buffer.from("{")], open: true }))
        } else
          yield* talk(duplex).write(`POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{`)
        yield* Effect.repeat(turn, { times: 5 })
        duplex.destroy()
        assert.strictEqual((yield* version.send(server)("POST", ECHO, { headers: json, body: "{}" })).status, 200)
        assert.strictEqual(server.journal.done.ref.current, 1)
      })
    )
  })
}
