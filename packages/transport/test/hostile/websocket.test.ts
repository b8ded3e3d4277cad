/** Hostile WebSockets: each is ended, its call is interrupted, the heap has grown by less than 4 MiB, and others are served. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { settles, turn, until } from "../Harness.ts"
import { parse, talk } from "../RawHttp.ts"
import { CLOSE, frame, PING, rawSocket, serveRest, TEXT } from "../rest/RestHarness.ts"
import { held } from "./Heap.ts"

const GROWTH = 4 * 1024 * 1024

const many = (count: number, part: Uint8Array): Buffer => Buffer.concat(Array.from({ length: count }, () => part))

/** A server whose calls take nothing before `go`, if they are idle, and how many of them run. */
const serve = Effect.fnUntraced(function* (idle: boolean) {
  const go = yield* Latch.make(!idle)
  let running = 0
  const server = yield* serveRest({
    chat: (requests: Stream.Stream<object, unknown>) =>
      Stream.unwrap(
        Effect.sync(() => {
          running++
          return Stream.ensuring(
            Stream.unwrap(Effect.as(go.await, requests)),
            Effect.sync(() => void running--)
          )
        })
      )
  })
  return { ...server, go: go.open, running: () => running }
})

/** What is written again and again, until the connection ends. */
const attacks: ReadonlyArray<readonly [what: string, next: Uint8Array, reads: boolean]> = [
  ["pings whose answers are not read", many(500, frame(Buffer.alloc(125), PING)), false],
  ["a message in empty fragments without end", many(1000, frame("", 0, { final: false })), true],
  ["a message in fragments of a byte without end", many(1000, frame("x", 0, { final: false })), true],
  ["a length above the limit", frame("", TEXT, { length: 5_000_000 }), true],
  ["frames behind its own close", Buffer.concat([frame(Buffer.from([3, 232]), CLOSE), many(100, frame("x"))]), true],
  ["opcodes that do not exist", frame("x", 11), true]
]

describe("hostile WebSockets", () => {
  for (const [what, next, reads] of attacks) {
    it.effect(`${what}: ended, less than 4 MiB`, () =>
      Effect.gen(function* () {
        const server = yield* serve(false)
        const socket = rawSocket(yield* server.connect)
        yield* socket.open("/v1/chat/r")
        yield* until(Effect.sync(() => server.running() === 1))
        const before = yield* held
        if (!reads) socket.duplex.pause()
        if (what.includes("fragments")) socket.duplex.write(frame("", TEXT, { final: false }))
        for (let i = 0; i < 400 && server.running() > 0; i++) {
          socket.duplex.write(next)
          yield* turn
        }
        yield* until(Effect.sync(() => server.running() === 0))
        assert.isBelow((yield* held) - before, GROWTH)
        socket.duplex.destroy()
        const probe = talk(yield* server.connect)
        yield* probe.write("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert.strictEqual(parse(yield* probe.closed).status, 200)
      })
    )
  }

  it.effect("messages that nobody takes: the socket is paused at 64 KiB of them; less than 4 MiB of 32", () =>
    Effect.gen(function* () {
      const server = yield* serve(true)
      const socket = rawSocket(yield* server.connect)
      yield* socket.open("/v1/chat/r")
      yield* until(Effect.sync(() => server.running() === 1))
      const before = yield* held
      let written = 0
      const part = many(1000, frame('{"id":"a"}'))
      for (let i = 0; i < 2000 && !socket.duplex.writableNeedDrain; i++) {
        written += part.length
        socket.duplex.write(part)
        yield* turn
      }
      yield* settles(() => socket.duplex.writableLength)
      assert.isTrue(socket.duplex.writableNeedDrain)
      assert.isBelow(written, 1_000_000)
      assert.isBelow((yield* held) - before, GROWTH)
      // a socket that is paused hears of its end when it goes on
      socket.duplex.destroy()
      yield* server.go
      yield* until(Effect.sync(() => server.running() === 0))
    })
  )
})
