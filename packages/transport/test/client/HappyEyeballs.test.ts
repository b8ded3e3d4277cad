/** Hosts with several addresses: none that does not answer holds up those that do. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as net from "node:net"
import * as os from "node:os"
import * as Channels from "../../src/Channels.ts"
import * as HappyEyeballs from "../../src/HappyEyeballs.ts"
import * as NetworkError from "../../src/NetworkError.ts"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { implement, serve, sockets, turn } from "../Harness.ts"

const address = (address: string) => ({ address, family: net.isIP(address) })
const failure = (host: string) => new NetworkError.ConnectError({ host, port: 1, reason: "Refused", message: host, cause: undefined })

describe("the order of addresses", () => {
  it("lets the families take turns, the first one first", () => {
    const list = ["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"]
    const order = (addresses: ReadonlyArray<string>) => HappyEyeballs.interleave(addresses.map(address)).map((found) => found.address)
    assert.deepStrictEqual(order(list), ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"])
    assert.deepStrictEqual(order(["1.1.1.1", "::1", "::2", "::3"]), ["1.1.1.1", "::1", "::2", "::3"])
    assert.deepStrictEqual(order([]), [])
  })

  /** Attempts that answer after so many milliseconds (negative: with a failure), and when each began and was given up. */
  const run = Effect.fnUntraced(function* (times: ReadonlyArray<number>) {
    const begun: Array<number> = []
    const ended: Array<number> = []
    const attempts = times.map((time, i) =>
      Effect.suspend(() => {
        begun.push(i)
        return Effect.andThen(Effect.sleep(Math.abs(time)), time < 0 ? Effect.fail(failure(String(i))) : Effect.succeed(i))
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => ended.push(i))))
    )
    const fiber = yield* Effect.forkChild(Effect.result(HappyEyeballs.first(attempts)), { startImmediately: true })
    return { begun, ended, fiber, pass: (milliseconds: number) => TestClock.adjust(milliseconds) }
  })

  it.effect("each has a head start of a quarter second; the loser is given up", () =>
    Effect.gen(function* () {
      const { begun, ended, fiber, pass } = yield* run([1e9, 100, 100])
      yield* pass(249)
      assert.deepStrictEqual(begun, [0])
      yield* pass(1)
      assert.deepStrictEqual(begun, [0, 1])
      yield* pass(100)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result._tag === "Success" && result.success, 1)
      assert.deepStrictEqual([begun, ended], [[0, 1], [0]])
    })
  )

  it.effect("the next begins at once when one fails", () =>
    Effect.gen(function* () {
      const { begun, fiber, pass } = yield* run([-10, -10, 10])
      yield* pass(10)
      yield* pass(10)
      assert.deepStrictEqual(begun, [0, 1, 2])
      yield* pass(10)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result._tag === "Success" && result.success, 2)
    })
  )

  it.effect("a slow one goes on beside the later ones and may still win", () =>
    Effect.gen(function* () {
      const { ended, fiber, pass } = yield* run([600, 1e9])
      yield* pass(600)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result._tag === "Success" && result.success, 0)
      assert.deepStrictEqual(ended, [1])
    })
  )

  it.effect("when none answers the failure is that of the first", () =>
    Effect.gen(function* () {
      const { fiber, pass } = yield* run([-300, -10, -500])
      yield* pass(1000)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result._tag === "Failure" && result.failure.host, "1") // the first to fail
    })
  )
})

const hasIpv6 = Object.values(os.networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"))

describe("a name", () => {
  const clientOf = (target: string, options: Parameters<typeof Channels.options>[0] = {}) =>
    Effect.map(
      Layer.build(
        Layer.fresh(Echo.client(target)).pipe(Layer.provide(Layer.fresh(Channels.layerDirect)), Layer.provide(Channels.options(options)))
      ),
      (context) => Context.get(context, Echo)
    )
  /** A server on one address that answers with it. */
  const on = (host: string, port = 0) =>
    serve({ wire: sockets, host, port, implementation: implement({ unary: () => Effect.succeed({ text: host }) }) })

  for (const host of ["127.0.0.1", ...(hasIpv6 ? ["::1"] : [])]) {
    it.effect(`localhost leads to a server that listens on ${host} only`, () =>
      Effect.gen(function* () {
        const server = yield* on(host)
        const echo = yield* clientOf(`localhost:${server.address.port}`, {
          lookup: (_, __, done) => done(null, [address("::1"), address("127.0.0.1")])
        })
        assert.strictEqual((yield* echo.unary({})).text, host)
      })
    )
  }

  it.effect("one of whose addresses does not answer is reached by another", () =>
    Effect.gen(function* () {
      const server = yield* on("127.0.0.1")
      const echo = yield* clientOf(`name.test:${server.address.port}`, {
        // set aside for documents (RFC 5737): either nobody answers, or there is no way there
        lookup: (_, __, done) => done(null, [address("192.0.2.1"), address("127.0.0.1")])
      })
      const call = yield* Effect.forkChild(echo.unary({}), { startImmediately: true })
      yield* Effect.repeat(turn, { times: 20 })
      yield* TestClock.adjust("250 millis")
      assert.strictEqual((yield* Fiber.join(call)).text, "127.0.0.1")
    })
  )

  it.effect("is looked up again at every connect", () =>
    Effect.gen(function* () {
      const one = yield* on("127.0.0.1")
      const two = yield* on("127.0.0.2", one.address.port)
      let found = "127.0.0.1"
      const asked: Array<string> = []
      const echo = yield* clientOf(`name.test:${one.address.port}`, {
        lookup: (name, _, done) => {
          asked.push(name)
          done(null, [address(found)])
        }
      })
      assert.strictEqual((yield* echo.unary({})).text, "127.0.0.1")
      found = "127.0.0.2"
      assert.strictEqual((yield* echo.unary({})).text, "127.0.0.1")
      yield* one.close
      yield* Effect.repeat(turn, { times: 10 })
      assert.strictEqual((yield* echo.unary({})).text, "127.0.0.2")
      assert.deepStrictEqual(asked, ["name.test", "name.test"])
      assert.strictEqual(two.address.port, one.address.port)
    })
  )

  it.effect("that nobody knows is NoSuchHost", () =>
    Effect.gen(function* () {
      for (const answer of [Object.assign(new Error("x"), { code: "ENOTFOUND" }), null]) {
        const echo = yield* clientOf("name.test:1", { lookup: (_, __, done) => done(answer, []) })
        const error: { readonly message: string; readonly cause?: unknown } = yield* Effect.flip(echo.unary({}))
        assert.include(error.message, "no such host")
        assert.strictEqual(error.cause instanceof NetworkError.ConnectError && error.cause.reason, "NoSuchHost")
      }
    })
  )
})
