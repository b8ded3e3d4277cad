/** HTTP/1.1 as bytes on real sockets, good and bad, and how a connection is told to be of one version or the other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { serve, sockets, turn } from "./Harness.ts"
import { parse, talk, versions } from "./RawHttp.ts"

const ECHO = "/test/v1/echo"
const start = (options: Parameters<typeof serve>[0] = {}) => serve({ wire: sockets, ...options })

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

  it.effect("a request line that is none ends the connection without a reply", () =>
    Effect.gen(function* () {
      const { closed, write } = talk(yield* (yield* start()).connect)
      yield* write("GARBAGE\r\n\r\n")
      assert.strictEqual(yield* closed, "")
    })
  )

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
