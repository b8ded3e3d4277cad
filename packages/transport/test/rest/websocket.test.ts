import { create, toBinary } from "@bufbuild/protobuf"
import * as CallModule from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Aspect from "@effect-kratos/core/Aspect"
import { IdRequestSchema } from "../gen/test/v1/rest_pb.ts"
import { settles, until } from "../Harness.ts"
import { talk, parse } from "../RawHttp.ts"
import { BINARY, CLOSE, frame, PING, PONG, rawSocket, serveRest, TEXT } from "./RestHarness.ts"

const END = "\u001eend"
const collect = { collectIds: (requests: Stream.Stream<{ readonly id?: string; readonly note?: string }, unknown>) => joined(requests) }
const joined = (requests: Stream.Stream<{ readonly id?: string; readonly note?: string }, unknown>) =>
  Effect.map(Stream.runCollect(requests), (all) => ({ id: all.map(({ id }) => id).join(","), note: all.map(({ note }) => note).join(",") }))
const chat = { chat: (requests: Stream.Stream<object, unknown>) => requests }

const open = Effect.fnUntraced(function* (
  methods: Parameters<typeof serveRest>[0],
  target: string,
  { fields, ...options }: Parameters<typeof serveRest>[1] & { readonly fields?: Record<string, string> } = {}
) {
  const server = yield* serveRest(methods, options)
  const socket = rawSocket(yield* server.connect)
  const head = yield* socket.open(target, fields)
  return { ...socket, head, server }
})

const error = (text: string | undefined): unknown => (text?.startsWith("\u001eerror:") === true ? JSON.parse(text.slice(7)) : text)

describe("WebSocket", () => {
  it.effect("a client stream: frames are messages, `end` ends them, the reply comes before the close", () =>
    Effect.gen(function* () {
      const socket = yield* open(collect, "/v1/collect?note=q")
      assert.match(socket.head, /^HTTP\/1\.1 101 /)
      assert.match(socket.head, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
      assert.notMatch(socket.head, /sec-websocket-protocol|sec-websocket-extensions/i)
      yield* socket.send('{"id":"a"}')
      yield* socket.send('{"id":"b","note":"mine"}', BINARY)
      yield* settles(() => socket.frames.length)
      assert.lengthOf(socket.frames, 0)
      yield* socket.send(END)
      yield* socket.until(() => socket.closed() !== undefined)
      // the query wins over what a frame says
      assert.deepStrictEqual(socket.texts(), ['{"id":"a,b","note":"q,q"}'])
      assert.deepStrictEqual(socket.closed(), { code: 1000, reason: "" })
      assert.isTrue(socket.frames.every(({ final }) => final))
    })
  )

  it.effect("both directions; the path is set on every message", () =>
    Effect.gen(function* () {
      const socket = yield* open(chat, "/v1/chat/r%2F1")
      for (const note of ["1", "2"]) {
        yield* socket.send(JSON.stringify({ id: "other", note }))
        yield* socket.until(() => socket.texts().length === Number(note))
        assert.deepStrictEqual(JSON.parse(socket.texts().at(-1)!), { id: "r/1", note })
      }
      yield* socket.send(END)
      yield* socket.until(() => socket.closed() !== undefined)
      assert.strictEqual(socket.closed()?.code, 1000)
      yield* socket.send(Buffer.from([3, 232]), CLOSE)
      yield* socket.ended
    })
  )

  it.effect("messages in fragments, and in the codec that the handshake names", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from(toBinary(IdRequestSchema, create(IdRequestSchema, { id: "x", note: "ÿ" })))
      const socket = yield* open(chat, "/v1/chat/1", { fields: { "content-type": "application/proto" } })
      socket.duplex.write(frame(bytes.subarray(0, 2), BINARY, { final: false }))
      socket.duplex.write(frame("", PING))
      socket.duplex.write(frame(bytes.subarray(2), 0))
      // Kratos sends bytes of any codec as text
      yield* socket.send(bytes, TEXT)
      yield* socket.until(() => socket.frames.filter(({ opcode }) => opcode === BINARY).length === 2)
      const expected = Buffer.from(toBinary(IdRequestSchema, create(IdRequestSchema, { id: "1", note: "ÿ" })))
      assert.isTrue(socket.frames.filter(({ opcode }) => opcode === BINARY).every(({ data }) => data.equals(expected)))
      assert.lengthOf(
        socket.frames.filter(({ opcode }) => opcode === PONG),
        1
      )
      socket.duplex.destroy()
    })
  )

  it.effect("an error is a control message with all of it, then 1011 with a short text", () =>
    Effect.gen(function* () {
      const failure = KratosError.conflict("BUSY", "ü".repeat(200), { metadata: { retry: "5" } })
      const socket = yield* open({ chat: () => Stream.concat(Stream.make({ id: "first" }), Stream.fail(failure)) }, "/v1/chat/1")
      yield* socket.until(() => socket.closed() !== undefined)
      assert.deepStrictEqual(socket.texts().map(error), [
        '{"id":"first","note":""}',
        { code: 409, reason: "BUSY", message: failure.message, metadata: { retry: "5" } }
      ])
      assert.strictEqual(socket.closed()?.code, 1011)
      assert.match(socket.closed()?.reason ?? "", /^BUSY: ü+$/)
    })
  )

  for (const [what, payload, code] of [
    ["JSON that is none", "{", 400],
    ["a message that does not bind", '{"id":1}', 400],
    ["bytes that are no text", Buffer.from([0x22, 0xff, 0x22]), 400],
    ["an unknown control message", "\u001ewhat", 400],
    ["an empty message", "", 400],
    ["an error of the client", "\u001eerror:no more", 499]
  ] as const) {
    it.effect(`${what} ends the call with ${code}`, () =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const aspect = Aspect.observe({
          start: () => {},
          end: (_, exit) => void seen.push(exit._tag === "Failure" ? KratosError.fromCause(exit.cause).code : 200)
        })
        const socket = yield* open(collect, "/v1/collect", { aspects: aspect })
        yield* socket.send(payload)
        yield* socket.until(() => socket.closed() !== undefined)
        assert.deepInclude(error(socket.texts()[0]), { code })
        assert.strictEqual(socket.closed()?.code, 1011)
        assert.deepStrictEqual(seen, [code])
      })
    )
  }

  for (const [what, bytes, code, status] of [
    ["a message over the limit", frame("x", TEXT, { length: 101 }), 1009, 413],
    [
      "a fragmented message over the limit",
      Buffer.concat([frame("x".repeat(60), TEXT, { final: false }), frame("x".repeat(60), 0)]),
      1009,
      413
    ],
    ["a frame without a mask", Buffer.from([0x81, 1, 0x78]), 1002, 400],
    ["a reserved opcode", frame("x", 3), 1002, 400],
    ["a continuation of nothing", frame("x", 0), 1002, 400]
  ] as const) {
    it.effect(`${what}: an error, then ${code}`, () =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const aspect = Aspect.observe({
          start: () => {},
          end: (_, exit) => void seen.push(exit._tag === "Failure" ? KratosError.fromCause(exit.cause).code : 200)
        })
        const socket = yield* open(collect, "/v1/collect", { maxBodyBytes: 100, aspects: aspect })
        socket.duplex.write(bytes)
        yield* socket.until(() => socket.closed() !== undefined)
        assert.deepInclude(error(socket.texts()[0]), { code: status })
        assert.strictEqual(socket.closed()?.code, code)
        assert.deepStrictEqual(seen, [status])
      })
    )
  }

  it.effect("a client that closes, politely or not, interrupts the handler", () =>
    Effect.gen(function* () {
      for (const leave of ["close", "end", "destroy"] as const) {
        let interrupted = 0
        const socket = yield* open({ chat: () => Stream.never.pipe(Stream.onExit(() => Effect.sync(() => interrupted++))) }, "/v1/chat/1")
        yield* settles(() => interrupted)
        assert.strictEqual(interrupted, 0)
        if (leave === "close") yield* socket.send(Buffer.from([3, 232]), CLOSE)
        else socket.duplex[leave]()
        yield* until(Effect.sync(() => interrupted === 1))
        if (leave === "close") yield* socket.until(() => socket.closed()?.code === 1000)
      }
    })
  )

  it.effect("a slow handler pauses the socket, a slow client the handler", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      let taken = 0
      const slow = yield* open(
        {
          collectIds: (requests) =>
            Effect.as(
              Stream.runForEach(requests, () =>
                Effect.andThen(
                  Effect.sync(() => taken++),
                  gate.await
                )
              ),
              {}
            )
        },
        "/v1/collect"
      )
      let accepted = 0
      const message = frame(JSON.stringify({ note: "x".repeat(1000) }))
      const more = (): void => {
        while (accepted < 2000) {
          accepted++
          // memory hands buffers over as they are, and the server unmasks them
          if (!slow.duplex.write(Buffer.from(message))) return
        }
      }
      slow.duplex.on("drain", more)
      more()
      yield* until(Effect.sync(() => taken === 1))
      assert.isAtMost(yield* settles(() => accepted), 400)
      yield* gate.open
      yield* until(Effect.sync(() => taken === 2000))

      let produced = 0
      const reply = { id: "x".repeat(1000) }
      const server = yield* serveRest({
        chat: (requests: Stream.Stream<unknown>) =>
          Stream.flatMap(requests, () => Stream.forever(Stream.make(reply)).pipe(Stream.tap(() => Effect.sync(() => produced++))))
      })
      const duplex = yield* server.connect
      const lazy = rawSocket(duplex)
      yield* lazy.open("/v1/chat/1")
      duplex.pause()
      yield* lazy.send("{}")
      assert.isAtMost(yield* settles(() => produced), 1000)
      assert.isAbove(produced, 0)
      duplex.destroy()
    })
  )

  it.effect("is pinged, and dropped when nobody answers; no time limit cuts it", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const socket = yield* open({ chat: () => Stream.never.pipe(Stream.onExit(() => Effect.sync(() => interrupted++))) }, "/v1/chat/1")
      const pings = () => socket.frames.filter(({ opcode }) => opcode === PING).length
      for (let i = 1; i <= 300; i++) {
        yield* TestClock.adjust("15 seconds")
        yield* socket.until(() => pings() >= i)
        yield* socket.send("", PONG)
        yield* settles(() => 0)
      }
      assert.strictEqual(interrupted, 0)
      yield* TestClock.adjust("60 seconds")
      yield* until(Effect.sync(() => interrupted === 1))
    })
  )

  it.effect("metadata and deadline come with the handshake", () =>
    Effect.gen(function* () {
      let word: string | undefined
      const socket = yield* open(
        {
          chat: () =>
            Stream.fromEffect(Effect.flatMap(CallModule.Call, (call) => ((word = call.request.get("x-md-word")?.[0]), Effect.never)))
        },
        "/v1/chat/1",
        { fields: { "x-md-word": "w", "x-timeout-ms": "1000" } }
      )
      yield* until(Effect.sync(() => word === "w"))
      yield* TestClock.adjust("1010 millis")
      yield* socket.until(() => socket.closed() !== undefined)
      assert.deepInclude(error(socket.texts()[0]), { code: 504, reason: "DEADLINE_EXCEEDED" })
    })
  )

  it.effect("what a request gets that opens none", () =>
    Effect.gen(function* () {
      const server = yield* serveRest({ ...chat, ...collect })
      const send = Effect.fnUntraced(function* (line: string, fields: Record<string, string>) {
        const { closed, write } = talk(yield* server.connect)
        const all = { host: "test", connection: "close", ...fields }
        yield* write(
          `${line} HTTP/1.1\r\n${Object.entries(all)
            .map(([name, value]) => `${name}: ${value}\r\n`)
            .join("")}\r\n`
        )
        return parse(yield* closed)
      })
      const handshake = {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
      }
      for (const [line, fields, status, header] of [
        ["GET /v1/collect", {}, 426, ["upgrade", "websocket"]],
        ["HEAD /v1/collect", {}, 426, ["upgrade", "websocket"]],
        ["POST /v1/collect", {}, 405, ["allow", "GET, OPTIONS"]],
        ["OPTIONS /v1/collect", {}, 204, ["allow", "GET, OPTIONS"]],
        ["GET /v1/chat/%zz", handshake, 400, undefined],
        ["GET /v1/nothing", handshake, 404, undefined],
        ["POST /v1/collect", handshake, 405, undefined],
        ["GET /v1/collect", { ...handshake, "sec-websocket-version": "8" }, 426, ["sec-websocket-version", "13"]],
        ["GET /v1/collect", { ...handshake, "sec-websocket-key": "short" }, 400, undefined],
        ["GET /v1/collect", { ...handshake, "sec-websocket-protocol": "a,,b" }, 400, undefined],
        ["GET /v1/collect", { ...handshake, origin: "https://evil.example" }, 403, undefined],
        ["GET /v1/collect", { ...handshake, origin: "null" }, 403, undefined],
        [
          "GET /v1/collect",
          { connection: "Upgrade, HTTP2-Settings, close", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" },
          426,
          undefined
        ]
      ] as const) {
        const reply = yield* send(line, fields)
        assert.strictEqual(reply.status, status, `${line} ${JSON.stringify(fields)}`)
        if (header !== undefined) assert.strictEqual(reply.headers[header[0]], header[1], line)
        if (status !== 204 && !line.startsWith("HEAD")) assert.hasAllKeys(JSON.parse(reply.body), ["code", "reason", "message", "metadata"])
      }
    })
  )

  it.effect("an origin may open one when it is the server's own, or allowed", () =>
    Effect.gen(function* () {
      for (const [origin, options, status] of [
        ["http://test", {}, 101],
        ["https://TEST", {}, 101],
        ["http://test:81", {}, 403],
        ["https://app.example", { webSocketOrigins: ["https://app.example"] }, 101],
        ["https://app.example", { cors: { origins: ["https://app.example"] } }, 101],
        ["https://app.example", { cors: { origins: "*" as const } }, 403],
        ["https://app.example", { webSocketOrigins: "*" as const }, 101]
      ] as const) {
        const socket = yield* open(chat, "/v1/chat/1", { ...options, fields: { origin } })
        assert.match(socket.head, new RegExp(`^HTTP/1.1 ${status} `), `${origin} ${JSON.stringify(options)}`)
        socket.duplex.destroy()
      }
    })
  )

  it.effect("an upgrade to what we do not speak is a request like any other, with its body", () =>
    Effect.gen(function* () {
      const server = yield* serveRest({ cancelTask: ({ id, note }) => Effect.succeed({ id, note }) })
      const { closed, write } = talk(yield* server.connect)
      const body = '{"note":"n"}'
      yield* write(
        `POST /v1/tasks/7:cancel HTTP/1.1\r\nhost: test\r\nconnection: Upgrade, close\r\nupgrade: h2c\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 4)}`
      )
      yield* write(body.slice(4))
      assert.deepStrictEqual(JSON.parse(parse(yield* closed).body), { id: "7", note: "n" })
    })
  )
})
