/** Connections while nothing happens on them: peers that have gone without a word, servers that dislike pings, age. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Duplex } from "node:stream"
import type * as ConnectionOptions from "../../src/channel/ConnectionOptions.ts"
import type * as Client from "../../src/Client.ts"
import { clientOf, settles, turn, until } from "../Harness.ts"
import { scripted, type Script } from "../Raw.ts"
import { answer, becomes, watched } from "./Rig.ts"

const turns = Effect.repeat(turn, { times: 10 })

const setup = Effect.fnUntraced(function* (
  script: Script,
  connection: ConnectionOptions.Options = {},
  server: Parameters<typeof scripted>[1] = {},
  client?: Client.Options
) {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const made = yield* scripted(script, {
    // on the clock of the test
    now: () => clock.currentTimeMillisUnsafe(),
    after: (milliseconds, task) => {
      const fiber = run(Effect.andThen(Effect.sleep(milliseconds), Effect.sync(task)))
      return () => fiber.interruptUnsafe()
    },
    ...server
  })
  const rig = yield* watched(made.network)
  return { ...rig, ...(yield* clientOf({ address: made.address, network: rig.network }, client, connection)), server: made }
})

/** From now on nothing arrives any more, in either direction, and nobody is told. */
const cutSilently = (duplex: Duplex): void => {
  duplex.write = (() => true) as Duplex["write"]
  duplex.removeAllListeners("data")
  duplex.on("data", () => {})
}

/** Moves the clock by seconds, with time for what travels. */
const pass = (seconds: number) => Effect.repeat(Effect.andThen(TestClock.adjust("1 second"), turns), { times: seconds - 1 })

describe("keep-alive", () => {
  it.effect("finds a peer that has gone without a word: open calls fail, the next one goes to a new connection", () =>
    Effect.gen(function* () {
      const { echo, open, state } = yield* setup((stream, _, __, number) => (number === 0 ? undefined : answer(stream)))
      const call = yield* Effect.forkChild(Effect.flip(echo.unary({})), { startImmediately: true })
      yield* until(Effect.sync(() => state.duplexes.length === 1))
      yield* turns
      cutSilently(state.duplexes[0]!)
      yield* TestClock.adjust("6 minutes")
      yield* turns
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("20 seconds")
      const failure = yield* Fiber.join(call)
      assert.instanceOf(failure, KratosError.KratosError)
      assert.deepStrictEqual([failure.code, failure.grpc], [503, Grpc.UNAVAILABLE])
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      assert.strictEqual(yield* settles(open), 1)
    })
  )

  it.effect("asks nothing while no call is open, and never when it is off", () =>
    Effect.gen(function* () {
      for (const keepAlive of [{ interval: "10 seconds" }, false] as const) {
        const { echo, open, state } = yield* setup((stream, _, __, number) => (number === 1 ? undefined : answer(stream)), {
          keepAlive,
          idleTimeout: "10 hours"
        })
        yield* echo.unary({})
        cutSilently(state.duplexes[0]!)
        if (keepAlive === false) yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
        yield* TestClock.adjust("5 hours")
        assert.strictEqual(yield* settles(open), 1)
        state.duplexes[0]!.destroy()
      }
    })
  )

  it.effect("asks half as often a server that finds it too much, which then bears it", () =>
    Effect.gen(function* () {
      const { echo, server } = yield* setup(
        () => undefined, // no call is ever answered
        { keepAlive: { interval: "10 seconds", timeout: "5 seconds" } },
        { minPingInterval: 15_000 }
      )
      const first = yield* Effect.forkChild(Effect.flip(echo.unary({})), { startImmediately: true })
      yield* until(Effect.sync(() => server.seen.streams === 1))
      yield* pass(120)
      const failure = yield* Fiber.join(first)
      assert.strictEqual(KratosError.code(failure), 503)
      const second = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      yield* until(Effect.sync(() => server.seen.streams === 2))
      yield* pass(300)
      assert.isUndefined(second.pollUnsafe())
      assert.strictEqual(server.seen.connections, 2)
      yield* Fiber.interrupt(second)
    })
  )

  it.effect("never asks more often than every ten seconds", () =>
    Effect.gen(function* () {
      const { echo, server } = yield* setup(
        () => undefined,
        { keepAlive: { interval: "1 millis", timeout: "1 second" } },
        { minPingInterval: 9000, maxPingStrikes: 0 }
      )
      const call = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      yield* until(Effect.sync(() => server.seen.streams === 1))
      yield* pass(60)
      assert.isUndefined(call.pollUnsafe())
      yield* Fiber.interrupt(call)
    })
  )
})

describe("a connection", () => {
  it.effect("that the server closes while it is idle costs no call", () =>
    Effect.gen(function* () {
      const { channels, echo, open, server } = yield* setup((stream) => answer(stream), {}, { maxIdle: 60_000 })
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* echo.unary({})).text, "hello")
        yield* TestClock.adjust("2 minutes")
        yield* becomes(channels, "idle")
      }
      assert.strictEqual(server.seen.connections, 5)
      assert.strictEqual(yield* settles(open), 0)
    })
  )

  it.effect("of a certain age takes no more calls and ends with its last one", () =>
    Effect.gen(function* () {
      const held: Array<Parameters<typeof answer>[0]> = []
      const { echo, open, server } = yield* setup((stream, _, __, number) => (number === 0 ? void held.push(stream) : answer(stream)), {
        maxAge: "10 minutes",
        keepAlive: false
      })
      const old = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      yield* until(Effect.sync(() => held.length === 1))
      yield* TestClock.adjust("8 minutes")
      yield* echo.unary({})
      assert.strictEqual(server.seen.connections, 1)
      yield* TestClock.adjust("4 minutes")
      yield* echo.unary({})
      assert.deepStrictEqual([server.seen.connections, open()], [2, 2])
      answer(held[0]!, "old")
      assert.strictEqual((yield* Fiber.join(old)).text, "old")
      assert.strictEqual(yield* settles(open), 1)
    })
  )
})
