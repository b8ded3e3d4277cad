/** Nodes that cannot be reached, and how soon they are tried again. */
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Backoff from "../../src/channel/Backoff.ts"
import type * as ConnectionOptions from "../../src/channel/ConnectionOptions.ts"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import * as MemoryDuplex from "../../src/MemoryDuplex.ts"
import * as Network from "../../src/Network.ts"
import * as NetworkError from "../../src/NetworkError.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { clientOf, settles, turn, until } from "../Harness.ts"
import { scripted, type Script } from "../Raw.ts"
import { answer, becomes, states, watched } from "./Rig.ts"

const well: Script = (stream) => answer(stream)

const setup = Effect.fnUntraced(function* (script: Script = well, options?: Client.Options, connection?: ConnectionOptions.Options) {
  const server = yield* scripted(script)
  const rig = yield* watched(server.network)
  const client = yield* clientOf({ address: server.address, network: rig.network }, options, connection)
  return { ...rig, ...client, server }
})

const turns = Effect.repeat(turn, { times: 10 })

const isUnavailable = (failure: unknown): boolean => KratosError.code(failure as KratosError.KratosError) === 503

describe("back-off", () => {
  it("grows by 1.6 from a second to two minutes, within a fifth", () => {
    const middle = [1, 2, 3, 4, 11, 12, 100].map((failures) => Math.round(Backoff.delay({}, failures, 0.5)))
    assert.deepStrictEqual(middle, [1000, 1600, 2560, 4096, 109_951, 120_000, 120_000])
    assert.deepStrictEqual([Backoff.delay({}, 1, 0), Backoff.delay({}, 1, 1)], [800, 1200])
    assert.strictEqual(Backoff.delay({ initial: 0 }, 5, 0.5), 10)
    assert.strictEqual(Backoff.delay({ initial: "1 minute", factor: 3, max: "2 minutes", jitter: 0 }, 2, 0.9), 120_000)
  })

  it.effect("calls fail at once with the last error while a node is left alone, and do not connect", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup()
      state.down = true
      for (let second = 0; second < 600; second++) {
        const failures = yield* Effect.all([Effect.flip(echo.unary({})), Effect.flip(echo.unary({}))], { concurrency: 2 })
        for (const failure of failures) {
          assert.isTrue(isUnavailable(failure))
          assert.include(failure.message, "connection refused")
        }
        yield* TestClock.adjust("1 second")
      }
      // 1 + 1.6 + 2.56 + … seconds, the tenth after about 180; then every two minutes, each rounded up to the second of the next call
      assert.isAtLeast(state.attempts.length, 11)
      assert.isAtMost(state.attempts.length, 15)
      const waits = state.attempts.slice(1).map((at, i) => at - state.attempts[i]!)
      waits.forEach((wait, i) => {
        const middle = Backoff.delay({}, i + 1, 0.5)
        assert.isTrue(wait >= middle * 0.8 && wait <= middle * 1.2 + 1010, `${i}: ${wait}`)
      })
    })
  )

  it.effect("nothing is tried while nothing is called", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup()
      state.down = true
      yield* Effect.flip(echo.unary({}))
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(state.attempts, 1)
      state.down = false
      assert.strictEqual((yield* echo.unary({})).text, "hello")
    })
  )

  it.effect("begins anew after a connection that was of use", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup()
      state.down = true
      for (let i = 0; i < 8; i++) {
        yield* Effect.flip(echo.unary({}))
        yield* TestClock.adjust("3 minutes")
      }
      state.down = false
      assert.strictEqual((yield* echo.unary({})).text, "hello")
      state.duplexes[0]!.destroy()
      yield* turns
      state.down = true
      const before = state.attempts.length
      yield* Effect.flip(echo.unary({}))
      yield* TestClock.adjust("1300 millis")
      yield* Effect.flip(echo.unary({}))
      assert.strictEqual(state.attempts.length, before + 2)
    })
  )

  it.effect("a server that goes away before it has been of use is left alone after the fifth time", () =>
    Effect.gen(function* () {
      const network = Network.makeMemory()
      const address = yield* network.listen({ host: "bad", port: 0 }, ({ duplex }) => {
        // settings, then a GOAWAY that says it has seen no stream
        duplex.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        duplex.write(Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        duplex.on("error", () => {})
        duplex.resume()
        duplex.end()
      })
      const { network: shape, state } = yield* watched(network)
      const { echo } = yield* clientOf({ address, network: shape })
      for (let minute = 0; minute < 10; minute++) {
        assert.isTrue(isUnavailable(yield* Effect.flip(echo.unary({}))))
        yield* TestClock.adjust("1 minute")
      }
      assert.isAtLeast(state.attempts.length, 8)
      assert.isAtMost(state.attempts.length, 5 + 9)
    })
  )
})

describe("waitForReady", () => {
  it.effect("waits until the node can be reached, which is tried by the back-off alone", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup(well, { waitForReady: true })
      state.down = true
      const calls = yield* Effect.forkChild(Effect.all([echo.unary({}), echo.unary({})], { concurrency: 2 }), { startImmediately: true })
      for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
      assert.isUndefined(calls.pollUnsafe())
      // after about 1, 2.6, 5.2, 9.3, 16, 26, 43 seconds
      assert.isAtLeast(state.attempts.length, 6)
      assert.isAtMost(state.attempts.length, 9)
      state.down = false
      yield* TestClock.adjust("40 seconds")
      assert.lengthOf(yield* Fiber.join(calls), 2)
      assert.lengthOf(state.duplexes, 1)
    })
  )

  it.effect("but not beyond the deadline", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup(well, { waitForReady: true })
      state.down = true
      const call = yield* Effect.forkChild(Effect.flip(Effect.provideService(echo.unary({}), Deadline.Current, 10_000)), {
        startImmediately: true
      })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(KratosError.code(yield* Fiber.join(call)), 504)
    })
  )
})

describe("several nodes", () => {
  /** A client of `good:1` and `bad:2`, and what they were asked. */
  const two = Effect.fnUntraced(function* () {
    const clock = yield* Clock.Clock
    const shared = Network.makeMemory()
    const up = yield* scripted((stream) => answer(stream, "good"))
    const other = yield* scripted((stream) => answer(stream, "bad"))
    const state = { bad: "down" as "down" | "up" | "silent", attempts: [] as Array<number> }
    const silent = (): Network.NetworkShape["connect"] => () => Effect.sync(() => MemoryDuplex.make()[0])
    const network: Network.NetworkShape = {
      ...shared,
      connect: (to) => {
        if (to.host === "good") return up.network.connect(up.address)
        return Effect.suspend(() => {
          state.attempts.push(clock.currentTimeMillisUnsafe())
          if (state.bad === "silent") return silent()(to)
          return state.bad === "up" ? other.network.connect(other.address) : shared.connect(to)
        })
      }
    }
    const context = yield* Layer.build(
      Layer.fresh(Echo.client("direct:///bad:2,good:1")).pipe(
        Layer.provideMerge(Layer.fresh(Channels.layerDirect)),
        Layer.provide(Layer.succeed(Network.Network, network))
      )
    )
    const echo = Context.get(context, Echo)
    const channels = Context.get(context, Channels.Channels)
    const ask = (times: number) => Effect.map(Effect.replicateEffect(echo.unary({}), times), (replies) => replies.map(({ text }) => text))
    return { ask, echo, state, channels }
  })

  it.effect("while one is left alone the others get the calls; when it is back it gets its share", () =>
    Effect.gen(function* () {
      const { ask, channels, state } = yield* two()
      for (let second = 0; second < 30; second++) {
        assert.deepStrictEqual([...new Set(yield* ask(4))], ["good"])
        yield* TestClock.adjust("1 second")
      }
      assert.isAtLeast(state.attempts.length, 4)
      assert.isAtMost(state.attempts.length, 8)
      assert.deepStrictEqual(
        (yield* states(channels, "direct:///bad:2,good:1")).map(({ address, state }) => [address, state]),
        [
          ["bad:2", "transientFailure"],
          ["good:1", "ready"]
        ]
      )
      state.bad = "up"
      yield* TestClock.adjust("2 minutes")
      yield* ask(2)
      yield* turns
      const texts = yield* ask(10)
      assert.deepStrictEqual([texts.filter((text) => text === "good").length, texts.filter((text) => text === "bad").length], [5, 5])
    })
  )

  it.effect("one that accepts and says nothing takes no call with it, and is given up after twenty seconds", () =>
    Effect.gen(function* () {
      const { ask, channels, state } = yield* two()
      state.bad = "silent"
      assert.deepStrictEqual([...new Set(yield* ask(10))], ["good"])
      const bad = Effect.map(states(channels, "direct:///bad:2,good:1"), ([node]) => node!)
      assert.strictEqual((yield* bad).state, "connecting")
      yield* TestClock.adjust("21 seconds")
      yield* turns
      const { error, state: is } = yield* bad
      assert.strictEqual(is, "transientFailure")
      assert.instanceOf(error?.cause, NetworkError.ConnectError)
      assert.strictEqual(error?.cause instanceof NetworkError.ConnectError && error.cause.reason, "TimedOut")
      assert.lengthOf(state.attempts, 1)
    })
  )
})

describe("an attempt", () => {
  for (const [name, bytes, reason] of [
    ["a server of HTTP/1.1", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "NotHttp2"],
    ["one that hangs up", "", "Closed"]
  ] as const) {
    it.effect(`fails at ${name}, with the reason ${reason}`, () =>
      Effect.gen(function* () {
        const network = Network.makeMemory()
        const address = yield* network.listen({ host: "bad", port: 0 }, ({ duplex }) => {
          duplex.on("error", () => {})
          duplex.resume()
          duplex.end(bytes)
        })
        const { echo } = yield* clientOf({ address, network })
        const failure = yield* Effect.flip(echo.unary({}))
        assert.instanceOf(failure, KratosError.KratosError)
        assert.strictEqual(failure.code, 503)
        assert.instanceOf(failure.cause, NetworkError.ConnectError)
        assert.strictEqual(failure.cause.reason, reason)
      })
    )
  }

  it.effect("of a call that is cancelled goes on for the others; all calls that wait for it hear of its end", () =>
    Effect.gen(function* () {
      const { echo, state } = yield* setup()
      state.replace = Effect.never
      const first = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      const others = yield* Effect.forkChild(Effect.exit(Effect.all([echo.unary({}), echo.unary({})], { concurrency: 2 })), {
        startImmediately: true
      })
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("19 seconds")
      assert.isUndefined(others.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      const exit = yield* Fiber.join(others)
      assert.strictEqual(exit._tag, "Failure")
      assert.lengthOf(state.attempts, 1)
    })
  )

  it.effect("that is under way ends with the channels", () =>
    Effect.gen(function* () {
      const { close, echo, state } = yield* setup()
      let ended = false
      state.replace = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (ended = true)))
      const call = yield* Effect.forkChild(Effect.exit(echo.unary({})), { startImmediately: true })
      yield* until(Effect.sync(() => state.attempts.length === 1))
      yield* close
      assert.isTrue(ended)
      assert.strictEqual((yield* Fiber.join(call))._tag, "Failure")
    })
  )
})

describe("what is seen of it", () => {
  it.effect("the states of a node, in order, and one warning for any number of failures", () => {
    const logged: Array<string> = []
    const logger = Logger.make(
      ({ logLevel, message }) => void logged.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
    )
    return Effect.gen(function* () {
      const { channels, echo, state } = yield* setup()
      const seen: Array<string> = []
      yield* channels.connectivity("discovery:///echo").pipe(
        Stream.runForEach(([node]) => Effect.sync(() => node !== undefined && seen.at(-1) !== node.state && seen.push(node.state))),
        Effect.forkChild({ startImmediately: true })
      )
      yield* turns
      state.down = true
      for (let i = 0; i < 5; i++) {
        yield* Effect.flip(echo.unary({}))
        yield* turns
        yield* TestClock.adjust("1 minute")
      }
      state.down = false
      yield* echo.unary({})
      yield* becomes(channels, "ready")
      state.duplexes[0]!.destroy()
      yield* becomes(channels, "idle")
      yield* settles(() => seen.length)
      assert.deepStrictEqual(seen.slice(-4), ["transientFailure", "connecting", "ready", "idle"])
      assert.deepStrictEqual(seen.slice(0, 3), ["idle", "connecting", "transientFailure"])
      assert.deepStrictEqual(
        logged.filter((line) => line.startsWith("Warn")).map((line) => /cannot be reached/.test(line)),
        [true]
      )
      assert.isAbove(logged.filter((line) => line.startsWith("Debug")).length, 4)
    }).pipe(Effect.provide(Logger.layer([logger])), Effect.provideService(References.MinimumLogLevel, "Debug"))
  })

  it.effect("closing the channels lets calls end, then closes; what still runs after the drain timeout is cut", () =>
    Effect.gen(function* () {
      const held: Array<Parameters<Script>[0]> = []
      const { close, echo, open } = yield* setup((stream) => void held.push(stream))
      const calls = [
        yield* Effect.forkChild(Effect.exit(echo.unary({})), { startImmediately: true }),
        yield* Effect.forkChild(Effect.exit(echo.unary({})), { startImmediately: true })
      ] as const
      yield* until(Effect.sync(() => held.length === 2))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* turns
      answer(held[0]!)
      assert.strictEqual((yield* Fiber.join(calls[0]))._tag, "Success")
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary({}))), 503)
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual((yield* Fiber.join(calls[1]))._tag, "Failure")
      assert.strictEqual(open(), 0)
    })
  )
})
