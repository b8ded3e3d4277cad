/** Servers that go away while calls are on their way to them: no call fails, and none is acted on twice. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as Network from "../../src/Network.ts"
import { clientOf, turn, until } from "../Harness.ts"
import { scripted } from "../Raw.ts"
import { CountingServer } from "./CountingServer.ts"
import * as Link from "./Link.ts"
import { answer, states, watched } from "./Rig.ts"

/** More of both: `GOAWAY_CALLS=2000 GOAWAY_SEEDS=100`. */
const CALLS = Number(process.env["GOAWAY_CALLS"] ?? 400)
const SEEDS = Number(process.env["GOAWAY_SEEDS"] ?? 8)

describe("a server that goes away", () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    it.effect(`at random moments, in random ways, costs no call (seed ${seed})`, () =>
      Effect.gen(function* () {
        const { nextDoubleUnsafe: random } = yield* Random.Random
        const server = new CountingServer({ random, turns: 6, refused: 0 })
        // requests are on their way when the server goes
        const { network, open, state } = yield* watched(Network.makeMemory())
        state.replace = Effect.sync(() => {
          const [client, far] = Link.make({ random, turns: 4 })
          server.accept(far)
          return client
        })
        const address = { host: "leaving", port: 1 }
        const { channels, echo } = yield* clientOf({ address, network })
        const leaving = Effect.gen(function* () {
          for (let turns = yield* Random.nextIntBetween(6, 24); turns > 0; turns--) yield* turn
          for (const served of server.served) server.leaveSomehow(served)
        })
        const fiber = yield* Effect.forkChild(Effect.forever(leaving))
        const texts = Array.from({ length: CALLS }, (_, i) => `call ${i}`)
        /** Every third call streams its request, with pauses. */
        const call = (text: string, i: number) =>
          i % 3 > 0
            ? echo.unary({ text })
            : echo.clientStream(
                Stream.fromIterable(text).pipe(
                  Stream.mapEffect((char) =>
                    Effect.as(
                      Effect.when(
                        turn,
                        Effect.sync(() => random() < 0.3)
                      ),
                      { text: char }
                    )
                  )
                )
              )
        const replies = yield* Effect.forEach(
          texts,
          (text, i) =>
            Effect.gen(function* () {
              for (let turns = yield* Random.nextIntBetween(0, 4); turns > 0; turns--) yield* turn
              return yield* call(text, i)
            }),
          { concurrency: 20 }
        )
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(
          replies.map(({ text }) => text),
          texts
        )
        assert.deepStrictEqual(
          texts.filter((text) => server.executed.get(text) !== 1),
          []
        )
        assert.isAbove(server.connections, 10)
        assert.isAbove(server.ignored, 10)
        // no connection that has gone is kept
        yield* until(Effect.sync(() => open() <= 1))
        assert.isAtMost((yield* states(channels))[0]!.connections, 1)
      }).pipe(Random.withSeed(`goaway ${seed}`))
    )
  }

  it.effect("finishes what it has begun; new calls go to another connection at once", () =>
    Effect.gen(function* () {
      const held: Array<Parameters<typeof answer>[0]> = []
      const server = yield* scripted((stream, _, __, number) => (number === 0 ? void held.push(stream) : answer(stream)))
      const { echo } = yield* clientOf(server)
      const first = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      yield* until(Effect.sync(() => held.length === 1))
      for (const connection of server.open) connection.shutdown()
      for (let i = 0; i < 10; i++) assert.strictEqual((yield* echo.unary({})).text, "hello")
      assert.isUndefined(first.pollUnsafe())
      assert.deepStrictEqual([server.seen.connections, server.open.size], [2, 2])
      answer(held[0]!, "late")
      assert.strictEqual((yield* Fiber.join(first)).text, "late")
      yield* until(Effect.sync(() => server.open.size === 1))
    })
  )

  it.effect("a hundred times, between calls, leaves one connection and no failed call", () =>
    Effect.gen(function* () {
      const server = yield* scripted((stream) => answer(stream))
      const { network, open } = yield* watched(server.network)
      const { echo } = yield* clientOf({ address: server.address, network })
      for (let i = 0; i < 100; i++) {
        assert.strictEqual((yield* echo.unary({})).text, "hello")
        for (const connection of server.open) {
          if (i % 2 === 0) connection.shutdown()
          else connection.close(0)
        }
        if (i % 3 === 0) yield* until(Effect.sync(() => open() === 0))
      }
      // a graceful server still takes what was sent before its second GOAWAY could be read
      assert.isAbove(server.seen.connections, 50)
      yield* echo.unary({})
      yield* until(Effect.sync(() => open() === 1))
    })
  )

  it.effect("a lost connection takes along only what had left", () =>
    Effect.gen(function* () {
      const server = yield* scripted((stream) => answer(stream))
      const { network, state } = yield* watched(server.network)
      const { echo } = yield* clientOf({ address: server.address, network })
      yield* echo.unary({})
      const [duplex] = state.duplexes
      // a socket that is full: what is written to it is on its way for ever, and nothing more is written
      duplex!.write = (() => false) as Duplex["write"]
      const left = yield* Effect.forkChild(Effect.flip(echo.unary({})), { startImmediately: true })
      yield* Effect.repeat(turn, { times: 3 })
      const waiting = yield* Effect.forkChild(Effect.all([echo.unary({}), echo.clientStream(Stream.make({}, {}))], { concurrency: 2 }), {
        startImmediately: true
      })
      yield* Effect.repeat(turn, { times: 3 })
      duplex!.destroy()
      assert.strictEqual(KratosError.code(yield* Fiber.join(left)), 503)
      assert.deepStrictEqual(
        (yield* Fiber.join(waiting)).map(({ text }) => text),
        ["hello", "hello"]
      )
      assert.strictEqual(server.seen.connections, 2)
    })
  )
})
