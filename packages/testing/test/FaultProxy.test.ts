/** Each fault over sockets in memory, on a clock of the test's own. */
import * as Network from "@effect-kratos/transport/Network"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Duplex } from "node:stream"
import * as Fault from "../src/Fault.ts"
import * as FaultProxy from "../src/FaultProxy.ts"

const turns = Effect.promise(async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
})

/** An echo behind a proxy, and a client of it that notes what comes. */
const setup = Effect.gen(function* () {
  const network = yield* Network.Network
  const upstream = yield* network.listen({ host: "echo", port: 1 }, ({ duplex }) => {
    duplex.on("error", () => undefined)
    duplex.pipe(duplex)
  })
  const proxy = yield* FaultProxy.make({ upstream, host: "proxy" })
  const connect = Effect.map(network.connect(proxy.address), (duplex) => {
    const heard = { text: "", pieces: 0, ended: false, closed: false, duplex }
    duplex.on("data", (bytes: Buffer) => {
      heard.text += bytes.toString()
      heard.pieces++
    })
    duplex.on("end", () => (heard.ended = true))
    duplex.on("close", () => (heard.closed = true))
    return heard
  })
  return { proxy, connect }
})

const say = (heard: { readonly duplex: Duplex }, text: string) =>
  Effect.andThen(
    Effect.sync(() => heard.duplex.write(text)),
    turns
  )
const after = (millis: number) => Effect.andThen(TestClock.adjust(millis), turns)

const inMemory = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.suspend(() => Effect.provideService(effect, Network.Network, Network.makeMemory()))

describe("a fault proxy", () => {
  it.effect("passes bytes on at once when nothing is wrong, and counts them", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* say(heard, "hello")
        assert.strictEqual(heard.text, "hello")
        assert.deepStrictEqual(yield* proxy.stats, { open: 1, accepted: 1, unreachable: 0, bytesUpstream: 5, bytesDownstream: 5 })
      })
    )
  )

  it.effect("delays each way, in order, for as long as the fault holds", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* proxy.during(
          Fault.latency({ delay: "50 millis", jitter: "20 millis", direction: "upstream" }),
          Fault.latency({ delay: "100 millis", direction: "downstream" })
        )(
          Effect.gen(function* () {
            for (const digit of "0123456789") yield* say(heard, digit)
            yield* after(29)
            assert.strictEqual((yield* proxy.stats).bytesUpstream, 0)
            yield* after(41)
            assert.strictEqual((yield* proxy.stats).bytesUpstream, 10)
            yield* after(58)
            assert.strictEqual(heard.text, "")
            yield* after(42)
            assert.strictEqual(heard.text, "0123456789")
          })
        )
        yield* say(heard, "!")
        assert.strictEqual(heard.text, "0123456789!")
      })
    )
  )

  it.effect("refuses connections and breaks those it has while it is down, and is back at the same port", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* say(heard, "a")
        yield* proxy.during(
          Fault.down,
          Fault.down
        )(
          Effect.gen(function* () {
            yield* turns
            assert.isTrue(heard.closed)
            assert.strictEqual((yield* Effect.flip(connect)).reason, "Refused")
            assert.strictEqual((yield* proxy.stats).open, 0)
          })
        )
        const again = yield* connect
        yield* say(again, "b")
        assert.strictEqual(again.text, "b")
      })
    )
  )

  it.effect("resets connections that are there and new ones, each after its time", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const old = yield* connect
        yield* say(old, "a")
        yield* proxy.during(Fault.reset({ after: "1 second" }))(
          Effect.gen(function* () {
            yield* after(600)
            const young = yield* connect
            yield* say(young, "b")
            yield* after(400)
            assert.deepStrictEqual([old.closed, young.closed], [true, false])
            yield* after(600)
            assert.isTrue(young.closed)
          })
        )
        const last = yield* connect
        yield* say(last, "c")
        yield* after(5000)
        assert.deepStrictEqual([last.text, last.closed], ["c", false])
        yield* proxy.resetConnections
        yield* turns
        assert.isTrue(last.closed)
      })
    )
  )

  it.effect("tells the end of a direction late", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* say(heard, "a")
        yield* proxy.during(Fault.slowClose({ delay: "2 seconds" }))(
          Effect.gen(function* () {
            heard.duplex.end()
            yield* turns
            yield* after(2000)
            assert.isFalse(heard.ended)
            yield* after(2000)
            assert.isTrue(heard.ended)
          })
        )
        assert.strictEqual((yield* proxy.stats).open, 0)
      })
    )
  )

  it.effect("carries no more than the bandwidth", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* proxy.during(Fault.bandwidth({ bytesPerSecond: 1000, direction: "downstream" }))(
          Effect.gen(function* () {
            yield* say(heard, "x".repeat(2000))
            for (let i = 0; i < 10; i++) yield* after(100)
            assert.isAtMost(heard.text.length, 1000)
            assert.isAtLeast(heard.text.length, 900)
            for (let i = 0; i < 11; i++) yield* after(100)
            assert.strictEqual(heard.text.length, 2000)
          })
        )
      })
    )
  )

  it.effect("cuts bytes into pieces, with a pause between them", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* proxy.during(Fault.slicer({ size: 2, delay: "10 millis", direction: "downstream" }))(
          Effect.gen(function* () {
            yield* say(heard, "abcdef")
            assert.deepStrictEqual([heard.text, heard.pieces], ["ab", 1])
            yield* after(10)
            yield* after(10)
            assert.deepStrictEqual([heard.text, heard.pieces], ["abcdef", 3])
          })
        )
      })
    )
  )

  it.effect("holds bytes back in a black hole, ends included, and delivers them afterwards", () =>
    inMemory(
      Effect.gen(function* () {
        const { connect, proxy } = yield* setup
        const heard = yield* connect
        yield* proxy.during(Fault.blackhole())(
          Effect.gen(function* () {
            yield* say(heard, "abc")
            // another fault that comes and goes does not open the hole
            yield* proxy.during(Fault.blackhole({ direction: "upstream" }))(after(10_000))
            const other = yield* connect
            other.duplex.end()
            yield* after(10_000)
            assert.deepStrictEqual([heard.text, other.ended], ["", false])
          })
        )
        yield* turns
        assert.strictEqual(heard.text, "abc")
        assert.strictEqual((yield* proxy.stats).open, 1)
      })
    )
  )

  it.effect("ends a connection whose upstream cannot be reached", () =>
    inMemory(
      Effect.gen(function* () {
        const network = yield* Network.Network
        const proxy = yield* FaultProxy.make({ upstream: { host: "nobody", port: 1 }, host: "proxy" })
        const client = yield* network.connect(proxy.address)
        const closed = Effect.callback<void>((resume) => void client.resume().once("close", () => resume(Effect.void)))
        yield* closed
        assert.deepStrictEqual(yield* proxy.stats, { open: 0, accepted: 1, unreachable: 1, bytesUpstream: 0, bytesDownstream: 0 })
      })
    )
  )
})
