/** Connections to one node: as many as its calls need, within bounds; calls that find no room wait in order. */
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type * as ConnectionOptions from "../../src/channel/ConnectionOptions.ts"
import { clientOf, implement, memory, serve, settles, until } from "../Harness.ts"
import { becomes, states, watched } from "./Rig.ts"

/** A server that takes two streams a connection and answers a call when it is told to. */
const setup = Effect.fnUntraced(function* (connection: ConnectionOptions.Options) {
  const begun: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<void>>()
  const server = yield* serve({
    wire: memory,
    http2: { maxConcurrentStreams: 2 },
    implementation: implement({
      unary: ({ text = "" }) =>
        Effect.suspend(() => {
          begun.push(text)
          const gate = Deferred.makeUnsafe<void>()
          gates.set(text, gate)
          return Effect.as(Deferred.await(gate), { text })
        })
    })
  })
  const { network, open, state } = yield* watched(server.network)
  const { channels, echo } = yield* clientOf({ address: server.address, network }, undefined, connection)
  let calls = 0
  return {
    begun,
    channels,
    echo,
    open,
    state,
    /** A call that is sure to have taken its place. */
    call: Effect.suspend(() => Effect.forkChild(echo.unary({ text: String(calls++) }), { startImmediately: true })),
    answer: (text: string) => Effect.suspend(() => Deferred.succeed(gates.get(text)!, undefined)),
    settled: settles(() => begun.length)
  }
})

describe("the pool", () => {
  it.effect("grows while calls wait, up to its bound; the rest goes in the order in which it came", () =>
    Effect.gen(function* () {
      const { answer, begun, call, channels, settled, state } = yield* setup({ maxConnections: 3 })
      const fibers = yield* Effect.all(Array.from({ length: 12 }, () => call))
      assert.strictEqual(yield* settled, 6)
      assert.lengthOf(state.attempts, 3)
      assert.deepStrictEqual(
        (yield* states(channels)).map(({ connections, state }) => [connections, state]),
        [[3, "ready"]]
      )
      for (let i = 0; i < 12; i++) {
        yield* answer(begun[i]!)
        yield* settled
      }
      // whatever connection became free: first come, first served
      assert.deepStrictEqual(
        begun,
        Array.from({ length: 12 }, (_, i) => String(i))
      )
      yield* Effect.forEach(fibers, Fiber.join)
      assert.lengthOf(state.attempts, 3)
    })
  )

  it.effect("shrinks to one connection a minute after the peak, and to none when nothing is called for half an hour", () =>
    Effect.gen(function* () {
      const { answer, begun, call, channels, open, settled, state } = yield* setup({ maxConnections: 3 })
      const fibers = yield* Effect.all(Array.from({ length: 6 }, () => call))
      yield* settled
      for (const text of begun) yield* answer(text)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(open(), 3)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* settles(open), 3)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* settles(open), 1)
      yield* TestClock.adjust("28 minutes")
      assert.strictEqual(yield* settles(open), 1)
      yield* TestClock.adjust("2 minutes")
      yield* until(Effect.sync(() => open() === 0))
      yield* becomes(channels, "idle")
      const fiber = yield* call
      yield* until(Effect.sync(() => begun.length === 7))
      yield* answer("6")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "6")
      assert.lengthOf(state.attempts, 4)
    })
  )

  it.effect("one connection for one call after the other", () =>
    Effect.gen(function* () {
      const { answer, begun, call, state } = yield* setup({})
      for (let i = 0; i < 20; i++) {
        const fiber = yield* call
        yield* until(Effect.sync(() => begun.length === i + 1))
        yield* answer(String(i))
        yield* Fiber.join(fiber)
      }
      assert.lengthOf(state.attempts, 1)
    })
  )

  it.effect("a queue that is full fails what comes: 503, RESOURCE_EXHAUSTED on gRPC; the rest is served", () =>
    Effect.gen(function* () {
      const { answer, begun, call, echo, settled } = yield* setup({ maxConnections: 1, maxQueuedCalls: 2 })
      // before there is a connection calls are in the same queue
      const first = [yield* call, yield* call]
      yield* settled
      const queued = [yield* call, yield* call]
      const failure = yield* Effect.flip(echo.unary({}))
      assert.instanceOf(failure, KratosError.KratosError)
      assert.deepStrictEqual([failure.code, failure.reason, failure.grpc], [503, "QUEUE_FULL", Grpc.RESOURCE_EXHAUSTED])
      for (let i = 0; i < 4; i++) {
        yield* answer(begun[i]!)
        yield* settled
      }
      yield* Effect.forEach([...first, ...queued], Fiber.join)
    })
  )

  it.effect("a call leaves the queue when its deadline passes or it is cancelled, and makes room there", () =>
    Effect.gen(function* () {
      const { answer, begun, call, echo, settled } = yield* setup({ maxConnections: 1, maxQueuedCalls: 2 })
      const first = [yield* call, yield* call]
      yield* settled
      const late = yield* Effect.forkChild(Effect.flip(Effect.provideService(echo.unary({ text: "late" }), Deadline.Current, 5000)), {
        startImmediately: true
      })
      const cancelled = yield* Effect.forkChild(echo.unary({ text: "cancelled" }), { startImmediately: true })
      assert.strictEqual(KratosError.code(yield* Effect.flip(echo.unary({}))), 503)
      yield* Fiber.interrupt(cancelled)
      const next = yield* call
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(KratosError.code(yield* Fiber.join(late)), 504)
      const last = yield* call
      for (let i = 0; i < 4; i++) {
        yield* answer(begun[i]!)
        yield* settled
      }
      assert.deepStrictEqual(begun, ["0", "1", "2", "3"])
      yield* Effect.forEach([...first, next, last], Fiber.join)
    })
  )

  it.effect("when the last connection is lost, those that wait get a new one", () =>
    Effect.gen(function* () {
      const { answer, begun, call, settled, state } = yield* setup({ maxConnections: 1 })
      const running = [yield* call, yield* call]
      yield* settled
      const waiting = [yield* call, yield* call, yield* call]
      state.duplexes[0]!.destroy()
      for (const fiber of running) assert.strictEqual((yield* Fiber.await(fiber))._tag, "Failure")
      yield* until(Effect.sync(() => begun.length === 4))
      for (const text of ["2", "3", "4"]) {
        yield* answer(text)
        yield* settled
      }
      yield* Effect.forEach(waiting, Fiber.join)
      assert.lengthOf(state.attempts, 2)
    })
  )

  it.effect("clients and calls leave nothing on the connection that they share", () =>
    Effect.gen(function* () {
      const server = yield* serve({ wire: memory })
      const { network, state } = yield* watched(server.network)
      const { channels, echo } = yield* clientOf({ address: server.address, network })
      yield* echo.unary({})
      const [duplex] = state.duplexes
      const listeners = () => duplex!.eventNames().map((name) => duplex!.listenerCount(name))
      const before = listeners()
      for (let i = 0; i < 100; i++) {
        yield* channels.get("discovery:///echo")
        yield* echo.unary({})
        const fiber = yield* Effect.forkChild(echo.unary({ delayMs: 1_000_000 }), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
      }
      assert.deepStrictEqual(listeners(), before)
      assert.lengthOf(state.attempts, 1)
    })
  )
})
