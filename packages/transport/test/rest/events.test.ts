import * as CallModule from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as EventFraming from "../../src/rest/EventFraming.ts"
import { type Serving, settles, until } from "../Harness.ts"
import { type Reply, type Send, talk, versions } from "../RawHttp.ts"
import { serveRest } from "./RestHarness.ts"

const path = "/v1/wide/7:watch"
const json = (reply: Reply): unknown => JSON.parse(reply.body)
const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

for (const { name, send } of versions) {
  // all that it needs of a server is `connect`
  const over = send as (server: Pick<Serving, "connect">) => Send
  describe(`server-sent events over ${name}`, () => {
    it.effect("are framed as Kratos frames them", () =>
      Effect.gen(function* () {
        const server = yield* serveRest({ watchWide: ({ id, note }) => Stream.make({ id, note }, { id: "ü\n", note: "" }) })
        const reply = yield* over(server)("GET", `${path}?note=n`, { headers: { accept: "text/event-stream" } })
        assert.strictEqual(reply.status, 200)
        assert.deepInclude(reply.headers, {
          "content-type": "text/event-stream",
          "cache-control": "no-cache",
          "x-accel-buffering": "no"
        })
        assert.strictEqual(
          Buffer.from(reply.body, "latin1").toString(),
          event("message", { id: "7", note: "n" }) + event("message", { id: "ü\n", note: "" })
        )
      })
    )

    it.effect("a failure before the first is an HTTP error, a later one an event", () =>
      Effect.gen(function* () {
        const failure = KratosError.notFound("NO_ID", "no such id", { metadata: { k: "v" } })
        const server = yield* serveRest({
          watchWide: ({ note }) => Stream.concat(note === "late" ? Stream.make({ id: "1" }) : Stream.empty, Stream.fail(failure))
        })
        const send = over(server)
        const early = yield* send("GET", path)
        assert.deepStrictEqual([early.status, early.headers["content-type"]], [404, "application/json"])
        const body = { code: 404, reason: "NO_ID", message: "no such id", metadata: { k: "v" } }
        assert.deepStrictEqual(json(early), body)
        const late = yield* send("GET", `${path}?note=late`)
        assert.strictEqual(late.status, 200)
        assert.strictEqual(late.body, event("message", { id: "1", note: "" }) + event("error", body))
      })
    )

    it.effect("what does not bind is 400, an unknown verb 405", () =>
      Effect.gen(function* () {
        const send = over(yield* serveRest({ watchWide: () => Stream.empty }))
        const refused = yield* send("GET", `${path}?note=1&note=2`)
        assert.strictEqual(refused.status, 400)
        assert.deepInclude(json(refused), { code: 400, reason: "CODEC" })
        const late = yield* send("GET", path, { headers: { "x-timeout-ms": "soon" } })
        assert.strictEqual(late.status, 400)
        const verb = yield* send("POST", path)
        assert.strictEqual(verb.status, 405)
        assert.include(verb.headers["allow"], "GET, HEAD, OPTIONS")
      })
    )

    it.effect("a stream of nothing is an empty 200, HEAD tells what GET would", () =>
      Effect.gen(function* () {
        let calls = 0
        const server = yield* serveRest({ watchWide: () => Stream.suspend(() => (calls++, Stream.empty)) })
        const send = over(server)
        const empty = yield* send("GET", path)
        assert.deepStrictEqual([empty.status, empty.body, empty.headers["content-type"]], [200, "", undefined])
        assert.strictEqual(calls, 1)
        const head = yield* send("HEAD", path)
        assert.deepStrictEqual([head.status, head.body, head.headers["content-type"]], [200, "", "text/event-stream"])
        assert.strictEqual(calls, 1)
      })
    )

    it.effect("header metadata goes with the head; a type that is no text gives way to JSON", () =>
      Effect.gen(function* () {
        const server = yield* serveRest({
          watchWide: () => Stream.fromEffect(Effect.as(CallModule.setReplyHeader("x-mine", "1"), { id: "1" }))
        })
        const reply = yield* over(server)("GET", path, { headers: { accept: "application/proto" } })
        assert.strictEqual(reply.headers["x-mine"], "1")
        assert.strictEqual(reply.body, event("message", { id: "1", note: "" }))
      })
    )

    it.effect("a deadline that the caller sets ends a stream with an event", () =>
      Effect.gen(function* () {
        const server = yield* serveRest({ watchWide: () => Stream.concat(Stream.make({ id: "1" }), Stream.never) })
        const fiber = yield* Effect.forkChild(over(server)("GET", path, { headers: { "x-timeout-ms": "1000" } }))
        yield* settles(() => 0)
        yield* TestClock.adjust("1010 millis")
        const reply = yield* Fiber.join(fiber)
        assert.include(JSON.stringify(reply), "DEADLINE_EXCEEDED")
      })
    )
  })
}

describe("server-sent events", () => {
  const request = (target: string) => `GET ${target} HTTP/1.1\r\nhost: test\r\n\r\n`

  it.effect("no time limit cuts a stream; silence is filled with comments", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const server = yield* serveRest({ watchWide: () => Stream.fromEffect(Effect.as(gate.await, { id: "1" })) })
      const { says, text, write } = talk(yield* server.connect)
      yield* write(request(path))
      yield* settles(() => text().length)
      assert.strictEqual(text(), "")
      yield* TestClock.adjust("16 seconds")
      assert.match(yield* says(/: ping\n\n/), /^HTTP\/1.1 200 /)
      yield* TestClock.adjust("1 hour")
      yield* until(Effect.sync(() => text().split(": ping").length > 200))
      yield* gate.open
      yield* says(/event: message\ndata: \{"id":"1","note":""\}\n\n/)
    })
  )

  it.effect("a client that goes away interrupts the handler", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const server = yield* serveRest({
        watchWide: () =>
          Stream.concat(Stream.make({ id: "1" }), Stream.never).pipe(
            Stream.onExit((exit) => Effect.sync(() => exit._tag === "Failure" && interrupted++))
          )
      })
      const { duplex, says, write } = talk(yield* server.connect)
      yield* write(request(path))
      yield* says(/data: /)
      assert.strictEqual(interrupted, 0)
      duplex.destroy()
      yield* until(Effect.sync(() => interrupted === 1))
    })
  )

  it.effect("a slow client makes the handler wait", () =>
    Effect.gen(function* () {
      let produced = 0
      const note = "x".repeat(10_000)
      const server = yield* serveRest({
        watchWide: () => Stream.forever(Stream.make({ id: "1", note })).pipe(Stream.tap(() => Effect.sync(() => produced++)))
      })
      const duplex = yield* server.connect
      duplex.pause()
      duplex.write(request(path))
      yield* until(Effect.sync(() => produced > 0))
      assert.isAtMost(yield* settles(() => produced), 50)
      duplex.destroy()
    })
  )
})

describe("EventReader", () => {
  const read = (chunks: ReadonlyArray<Uint8Array>, maxBytes = 1000) => {
    const events: Array<readonly [string, string]> = []
    const reader = new EventFraming.EventReader(maxBytes, (name, data) => events.push([name, Buffer.from(data).toString()]))
    return { ok: chunks.every((chunk) => reader.push(chunk)), events }
  }

  it("reads back what was written, wherever it is cut", () => {
    const payloads = ["{}", "", "a\nb", "\n", "ü€🙂", "data: x", ": c"]
    const bytes = Buffer.concat(payloads.map((payload) => EventFraming.encode("message", Buffer.from(payload))))
    const expected = payloads.map((payload) => ["message", payload] as const)
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepStrictEqual(read([bytes.subarray(0, at), bytes.subarray(at)]).events, expected, `cut at ${at}`)
    }
    assert.deepStrictEqual(read([...bytes].map((byte) => Uint8Array.of(byte))).events, expected)
  })

  it("writes every line break as one", () => {
    assert.strictEqual(
      Buffer.from(EventFraming.encode("error", Buffer.from("a\r\nb\rc\n"))).toString(),
      "event: error\ndata: a\ndata: b\ndata: c\ndata: \n\n"
    )
  })

  for (const [text, events] of [
    ["data:x\n\n", [["", "x"]]],
    ["event:  message \ndata:  x\n\n", [["message", " x"]]],
    ["id: 1\nretry: 5\ndata: x\nfoo\n\n", [["", "x"]]],
    [": comment\n\n", []],
    [
      "data: a\r\n\r\ndata: b\r\r",
      [
        ["", "a"],
        ["", "b"]
      ]
    ],
    ["data\n\n", [["", ""]]],
    ["data: never ended", []],
    ["event: message\n\ndata: x\n\n", [["", "x"]]]
  ] as const) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepStrictEqual<unknown>(read([Buffer.from(text)]).events, events))
  }

  it("stops at its limit", () => {
    assert.isTrue(read([Buffer.from(`data: ${"x".repeat(10)}\n\n`)], 10).ok)
    assert.isFalse(read([Buffer.from(`data: ${"x".repeat(11)}\n\n`)], 10).ok)
    assert.isFalse(read([Buffer.from("data: 123456\ndata: 123456\n\n")], 10).ok)
    assert.isFalse(read([Buffer.from("x".repeat(200))], 10).ok)
  })
})
