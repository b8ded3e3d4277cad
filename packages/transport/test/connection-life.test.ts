/** How long connections live, and how many there are. */
import { Call } from "@effect-kratos/core/Call"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join as path } from "node:path"
import { clientOf, implement, memory, serve, type Serving, settles, sockets, turn, until } from "./Harness.ts"
import { grpcStatus, rawClient } from "./Raw.ts"
import { parse, talk } from "./RawHttp.ts"

const UNARY = "/test.v1.Echo/Unary"
const ECHO = "/test/v1/echo"
const post = (body: string) =>
  `POST ${ECHO} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
const empty = { body: [new Uint8Array(5)] }
const turns = Effect.repeat(turn, { times: 20 })

/** A call that waits for a gate. */
const gated = Effect.gen(function* () {
  const gate = yield* Latch.make()
  const seen = { waiting: 0 }
  return {
    gate,
    seen,
    implementation: implement({
      unary: ({ text }) =>
        Effect.as(
          Effect.andThen(
            Effect.sync(() => seen.waiting++),
            gate.await
          ),
          { text }
        )
    })
  }
})

for (const wire of [memory, sockets]) {
  describe(`connections over ${wire.name}`, () => {
    it.effect("wait when there are too many, and are served when others end", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, maxConnections: 2, backlog: 2 })
        const request = `GET /livez HTTP/1.1\r\nhost: a\r\n\r\n`
        const first = talk(yield* server.connect)
        const second = talk(yield* server.connect)
        yield* first.write(request)
        yield* second.write(request)
        yield* first.says(/ok/)
        yield* second.says(/ok/)
        const waiting = [talk(yield* server.connect), talk(yield* server.connect)]
        for (const { write } of waiting) yield* write(request)
        yield* settles(() => waiting.map(({ text }) => text()).join("").length)
        assert.deepStrictEqual(
          waiting.map(({ text }) => text()),
          ["", ""]
        )
        // one too many even for those that wait
        yield* talk(yield* server.connect).closed
        first.duplex.destroy()
        yield* waiting[0]!.says(/ok/)
        assert.strictEqual(waiting[1]!.text(), "")
        second.duplex.destroy()
        yield* waiting[1]!.says(/ok/)
      })
    )

    it.effect("that wait do not hold up the end", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, maxConnections: 1 })
        const first = talk(yield* server.connect)
        yield* turns
        const second = talk(yield* server.connect)
        yield* turns
        yield* server.close
        yield* first.closed
        yield* second.closed
      })
    )

    it.effect("grow old: calls in flight end, later ones go over new connections", () =>
      Effect.gen(function* () {
        const { gate, implementation, seen } = yield* gated
        const server = yield* serve({ wire, implementation, maxConnectionAge: 100_000 })
        const raw = rawClient(yield* server.connect)
        const held = yield* Effect.forkChild(raw.send(UNARY, empty))
        yield* until(Effect.sync(() => seen.waiting === 1))
        yield* TestClock.adjust(90_000 - 1)
        yield* turns
        assert.isFalse(raw.connection.closing)
        yield* TestClock.adjust(20_000 + 11)
        yield* until(Effect.sync(() => raw.connection.closing))
        yield* turns
        assert.isFalse(raw.connection.closed)
        yield* gate.open
        assert.strictEqual(grpcStatus(yield* Fiber.join(held)), 0)
        yield* until(Effect.sync(() => raw.connection.closed))
        const fresh = rawClient(yield* server.connect)
        assert.strictEqual(grpcStatus(yield* fresh.send(UNARY, empty)), 0)
        fresh.connection.destroy()
      })
    )

    it.effect("grow old without a failed call, whenever it comes", () =>
      Effect.gen(function* () {
        const implementation = implement({ unary: () => Effect.map(Call, ({ peer }) => ({ text: peer })) })
        const server = yield* serve({ wire, implementation, maxConnectionAge: 1000 })
        const peers = new Set<string>()
        const { echo } = yield* clientOf(server)
        const state = { goesOn: true, calls: 0 }
        const caller = Effect.gen(function* () {
          while (state.goesOn) {
            peers.add((yield* echo.unary({})).text)
            state.calls++
            yield* turn
          }
        })
        const callers = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 5 }, () => caller),
            { concurrency: "unbounded" }
          )
        )
        for (let i = 0; i < 20; i++) {
          const { calls } = state
          yield* until(Effect.sync(() => state.calls > calls + 5 || callers.pollUnsafe() !== undefined))
          yield* TestClock.adjust(1110)
        }
        state.goesOn = false
        yield* Fiber.join(callers)
        assert.isAtLeast(peers.size, 10, "each age brings another connection")
      })
    )

    it.effect("grow old: what is not over within the grace is cut", () =>
      Effect.gen(function* () {
        const { implementation, seen } = yield* gated
        const server = yield* serve({ wire, implementation, maxConnectionAge: 100_000, maxConnectionAgeGrace: 25_000 })
        const raw = rawClient(yield* server.connect)
        const http = talk(yield* server.connect)
        yield* http.write(post("{}"))
        const held = yield* Effect.forkChild(raw.send(UNARY, empty))
        yield* until(Effect.sync(() => seen.waiting === 2))
        yield* TestClock.adjust(110_011)
        yield* until(Effect.sync(() => raw.connection.closing))
        assert.isUndefined(held.pollUnsafe())
        yield* TestClock.adjust(25_000)
        assert.isDefined((yield* Fiber.join(held)).aborted)
        yield* http.closed
      })
    )

    it.effect("grow old: HTTP/1.1 is told with the next reply", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, maxConnectionAge: 10_000 })
        // one connection of the fast path, one of node's parser
        for (const target of [ECHO, "/livez"]) {
          const http = talk(yield* server.connect)
          const request = target === ECHO ? post("{}") : `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`
          yield* http.write(request)
          const before = parse(yield* http.says(/\r\n\r\n./))
          assert.notStrictEqual(before.headers["connection"], "close")
          yield* TestClock.adjust(11_010)
          yield* turns
          const { length } = http.text()
          yield* http.write(request)
          const after = parse((yield* http.closed).slice(length))
          assert.deepStrictEqual([after.status, after.headers["connection"]], [200, "close"])
        }
      })
    )

    it.effect("are shut down when they have been idle for too long", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, maxConnectionIdle: 5000 })
        const raw = rawClient(yield* server.connect)
        for (let i = 0; i < 5; i++) {
          assert.strictEqual(grpcStatus(yield* raw.send(UNARY, empty)), 0)
          yield* TestClock.adjust(4000)
        }
        yield* turns
        assert.isFalse(raw.connection.closing)
        yield* TestClock.adjust(1010)
        yield* until(Effect.sync(() => raw.connection.closed))
        const http = talk(yield* server.connect)
        yield* http.write(post("{}"))
        yield* http.says(/200 OK/)
        yield* TestClock.adjust(4990)
        yield* turns
        assert.isFalse(http.duplex.destroyed)
        yield* TestClock.adjust(30)
        yield* http.closed
      })
    )

    it.effect("whose client does not answer pings are closed, and their calls interrupted", () =>
      Effect.gen(function* () {
        const calls = { open: 0, interrupted: 0 }
        const hang = Effect.onInterrupt(
          Effect.andThen(
            Effect.sync(() => calls.open++),
            Effect.never
          ),
          () => Effect.sync(() => calls.interrupted++)
        )
        const implementation = implement({ unary: () => hang })
        const server = yield* serve({ wire, implementation, keepAlive: { interval: "1 minute", timeout: 5000 } })
        const lively = rawClient(yield* server.connect)
        const dead = rawClient(yield* server.connect)
        yield* Effect.forkChild(dead.send(UNARY, empty))
        yield* until(Effect.sync(() => calls.open === 1))
        dead.connection.duplex.pause()
        yield* TestClock.adjust(60_000)
        yield* turns
        yield* TestClock.adjust(5010)
        yield* until(Effect.sync(() => calls.interrupted === 1))
        yield* turns
        assert.isFalse(lively.connection.closed)
        dead.connection.destroy()
        lively.connection.destroy()
      })
    )

    it.effect("whose client pings too often are closed with too_many_pings, unless that is permitted", () =>
      Effect.gen(function* () {
        const ping = (connection: ReturnType<typeof rawClient>["connection"]) =>
          Effect.callback<boolean>((resume) => {
            const answer = (answered: boolean) => resume(Effect.succeed(answered))
            if (!connection.ping(answer)) answer(false)
          })
        const answersOf = Effect.fnUntraced(function* (server: Pick<Serving, "connect">) {
          const { connection } = rawClient(yield* server.connect)
          const answers = yield* Effect.forEach(Array.from({ length: 6 }), () => ping(connection))
          connection.destroy()
          return answers
        })
        const strict = yield* serve({ wire })
        assert.deepStrictEqual(yield* answersOf(strict), [true, true, true, false, false, false])
        const easy = yield* serve({ wire, keepAlive: { minInterval: 0 } })
        assert.deepStrictEqual(yield* answersOf(easy), [true, true, true, true, true, true])
      })
    )
  })
}

describe("Unix sockets", () => {
  const file = () => path(fs.mkdtempSync(path(tmpdir(), "unix-")), "s")
  const greet = (at: string) =>
    Effect.gen(function* () {
      const http = talk(net.connect({ path: at }))
      yield* http.write("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
      return parse(yield* http.closed).status
    })

  it.effect("are made with the permissions asked for and removed at the end", () =>
    Effect.gen(function* () {
      const at = file()
      const server = yield* serve({ wire: sockets, unix: at, unixMode: 0o600 })
      assert.strictEqual(fs.statSync(at).mode & 0o777, 0o600)
      assert.strictEqual(yield* greet(at), 200)
      yield* server.close
      assert.isFalse(fs.existsSync(at))
    })
  )

  it.effect("replace what a dead process has left, not what is alive, nor a file", () =>
    Effect.gen(function* () {
      const at = file()
      yield* stale(at)
      assert.isTrue(fs.lstatSync(at).isSocket())
      const server = yield* serve({ wire: sockets, unix: at })
      assert.strictEqual(yield* greet(at), 200)
      const error = yield* Effect.flip(serve({ wire: sockets, unix: at }))
      assert.include(error.message, `cannot listen on ${at}: address already in use`)
      assert.strictEqual(yield* greet(at), 200)
      yield* server.close
      fs.writeFileSync(at, "precious")
      assert.include((yield* Effect.flip(serve({ wire: sockets, unix: at }))).message, "address already in use")
      assert.strictEqual(fs.readFileSync(at, "utf8"), "precious")
    })
  )
})

describe("a shared port", () => {
  it.effect("is one that both ask for", () =>
    Effect.gen(function* () {
      if (process.platform !== "linux") return
      const first = yield* serve({ wire: sockets, reusePort: true })
      const { port } = first.address
      const second = yield* serve({ wire: sockets, reusePort: true, port })
      assert.strictEqual(second.address.port, port)
      const error = yield* Effect.flip(serve({ wire: sockets, port }))
      assert.include(error.message, "address already in use")
      const { echo } = yield* clientOf(second)
      assert.strictEqual((yield* echo.unary({ text: "x" })).text, "x")
      // each goes on without the other
      yield* first.close
      assert.strictEqual((yield* Effect.flatMap(clientOf(second), ({ echo }) => echo.unary({ text: "y" }))).text, "y")
    })
  )
})

/** Leaves the file of a socket on which nobody listens: as a process that was killed does. */
const stale = (at: string) =>
  Effect.callback<void>((resume) => {
    const server = net.createServer()
    const kept = `${at}.kept`
    server.listen(at, () => {
      fs.linkSync(at, kept)
      server.close(() => {
        fs.renameSync(kept, at)
        resume(Effect.void)
      })
    })
  })
