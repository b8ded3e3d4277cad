/** HTTP on real sockets: REST, a user's routes, probes; both versions alike. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Channels from "../src/Channels.ts"
import { Health } from "../src/Health.ts"
import * as Network from "../src/Network.ts"
import { reaches, serve, settled, sockets, turn, until } from "./Harness.ts"
import { rawClient } from "./Raw.ts"
import { parse, talk, versions } from "./RawHttp.ts"

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

describe("HTTP/1.1", () => {
  const post = (body: string) =>
    `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

  it.effect("keeps a connection alive, one request after the other and in a pipeline", () =>
    Effect.gen(function* () {
      const { duplex, says, write } = talk(yield* (yield* start()).connect)
      yield* write(post('{"text":"one"}'))
      yield* says(/"one"/)
      yield* write(post('{"text":"two"}') + post('{"text":"three"}'))
      const text = yield* says(/"three"/)
      assert.lengthOf(text.match(/HTTP\/1\.1 200/g) ?? [], 3)
      assert.isBelow(text.indexOf('"two"'), text.indexOf('"three"'))
      duplex.destroy()
    })
  )

  it.effect("a chunked body over the limit is 413 and ends the connection", () =>
    Effect.gen(function* () {
      const { closed, write } = talk(yield* (yield* start({ maxBodyBytes: 1000 })).connect)
      yield* write(`POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`)
      for (let i = 0; i < 20; i++) yield* write(`64\r\n${"x".repeat(100)}\r\n`)
      yield* write("0\r\n\r\n")
      const reply = parse(yield* closed)
      assert.deepStrictEqual([reply.status, JSON.parse(reply.body).code], [413, 413])
    })
  )

  for (const [name, bytes, status] of [
    ["a request line that is none", "GARBAGE\r\n\r\n", 400],
    ["bytes of another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["an unknown version", "GET / HTTP/9.9\r\nhost: a\r\n\r\n", 400],
    ["almost the preface of HTTP/2", "PRX * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
    ["a header without a name", "GET / HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n", 400],
    ["a space before the colon", "GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400],
    ["two content lengths", `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx`, 400],
    ["a length and chunks", `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["a bad chunk", `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`, 400],
    ["huge headers", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(100_000)}\r\n\r\n`, 431]
  ] as const) {
    it.effect(`${name}: ${status} in our form, and the connection ends`, () =>
      Effect.gen(function* () {
        const server = yield* start()
        const { closed, write } = talk(yield* server.connect)
        yield* write(bytes)
        const reply = parse(yield* closed)
        assert.strictEqual(reply.status, status)
        assert.strictEqual(JSON.parse(reply.body).code, status)
        // others are not disturbed
        assert.strictEqual((yield* versions[0]!.send(server)("GET", "/livez")).status, 200)
      })
    )
  }

  it.effect("percent-encoding that is broken is refused", () =>
    Effect.gen(function* () {
      const server = yield* start()
      for (const { send } of versions) {
        const reply = yield* send(server)("GET", "/test/v1/echo/%zz:stream")
        assert.strictEqual(reply.status >= 400 && reply.status < 500, true, String(reply.status))
        JSON.parse(reply.body)
      }
    })
  )
})

describe("the first bytes", () => {
  const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  const settings = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0)
  // the type of a frame follows three bytes of length
  const isSettings = (text: string) => text.charCodeAt(3) === 4

  it.effect("the preface of HTTP/2 is known in every cut", () =>
    Effect.gen(function* () {
      const server = yield* start()
      for (let cut = 1; cut <= PREFACE.length; cut++) {
        const { duplex, says, write } = talk(yield* server.connect)
        yield* write(PREFACE.slice(0, cut))
        yield* turn
        yield* turn
        yield* write(PREFACE.slice(cut))
        yield* write(settings)
        assert.isTrue(isSettings(yield* says(/^[^]{9}/)), `cut at ${cut}`)
        duplex.destroy()
      }
    })
  )

  it.effect("and so are methods that begin like it", () =>
    Effect.gen(function* () {
      const server = yield* start()
      for (const method of ["POST", "PUT", "PATCH", "PROPFIND", "GET"]) {
        const { closed, write } = talk(yield* server.connect)
        for (const byte of `${method} /nowhere HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`) {
          yield* write(byte)
          yield* turn
        }
        assert.strictEqual(parse(yield* closed).status, 404, method)
      }
    })
  )

  it.effect("a client that says nothing, or too little, is closed after ten seconds", () =>
    Effect.gen(function* () {
      const server = yield* start()
      for (const bytes of ["", "P", "PR"]) {
        const { closed, duplex, write } = talk(yield* server.connect)
        if (bytes !== "") yield* write(bytes)
        yield* Effect.repeat(turn, { times: 20 })
        yield* TestClock.adjust("9 seconds")
        yield* Effect.repeat(turn, { times: 5 })
        assert.isFalse(duplex.destroyed)
        yield* TestClock.adjust("2 seconds")
        yield* closed
      }
    })
  )
})

describe("health", () => {
  it.effect("probes and service follow the phases of the app", () =>
    Effect.gen(function* () {
      const server = yield* start()
      const context = yield* Layer.build(
        Health.client("discovery:///x").pipe(
          Layer.provide(Channels.layerTo(server.address)),
          Layer.provide(Layer.succeed(Network.Network, server.network))
        )
      )
      const health = Context.get(context, Health)
      const { send } = versions[0]!
      const readyz = Effect.map(send(server)("GET", "/readyz"), ({ status }) => status)
      const check = Effect.map(health.check({}), ({ status }) => status)
      // a server without an app is ready
      assert.deepStrictEqual([yield* readyz, yield* check], [200, 1])

      yield* server.lifecycle.identify({ id: "1", name: "app", version: "", metadata: {}, endpoints: [] })
      assert.deepStrictEqual([yield* readyz, yield* check], [503, 2])
      const seen: Array<number> = []
      const watch = yield* Effect.forkChild(
        Stream.runForEach(health.watch({ service: "test.v1.Echo" }), ({ status }) => Effect.sync(() => seen.push(status)))
      )
      yield* until(Effect.sync(() => seen.length === 1))
      const unknown = yield* Effect.forkChild(
        Stream.runForEach(health.watch({ service: "nobody" }), ({ status }) => Effect.sync(() => seen.push(status)))
      )
      yield* until(Effect.sync(() => seen.length === 2))

      yield* server.lifecycle.advance("serving")
      assert.deepStrictEqual([yield* readyz, yield* check], [200, 1])
      assert.deepStrictEqual((yield* health.list({})).statuses["test.v1.Echo"]?.status, 1)
      yield* until(Effect.sync(() => seen.length === 3))

      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* server.lifecycle.addCheck("database", Effect.succeed(false))
          const reply = yield* send(server)("GET", "/readyz")
          assert.strictEqual(reply.status, 503)
          assert.include(reply.body, "database")
          assert.strictEqual(yield* check, 2)
          yield* TestClock.adjust("5 seconds")
          yield* until(Effect.sync(() => seen.length === 4))
        })
      )
      yield* server.lifecycle.advance("stopping")
      assert.strictEqual(yield* readyz, 503)
      assert.strictEqual((yield* send(server)("GET", "/livez")).status, 200)
      // watchers do not hold up the stop
      yield* Fiber.join(watch)
      yield* Fiber.join(unknown)
      assert.deepStrictEqual(seen, [2, 3, 1, 2])
      const failure = yield* Effect.flip(health.check({ service: "nobody" }))
      assert.strictEqual(failure.code, 404)
    })
  )
})
