/** Calls that have failed are tried again where that does no harm, and only there: on every wire, for all four kinds. */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as CircuitBreaker from "@effect-kratos/core/aspect/CircuitBreaker"
import * as Retry from "@effect-kratos/core/aspect/Retry"
import * as RetryLimit from "@effect-kratos/core/aspect/RetryLimit"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import * as NetworkError from "../../src/NetworkError.ts"
import { makeReplies, turn, until } from "../Harness.ts"
import { clientOf, kinds, passing, type Script, serve, wires } from "./LedgerRig.ts"

const down = KratosError.serviceUnavailable("DOWN", "not now")
const limit = RetryLimit.make({ budget: false })

/** The first executions fail, the others do not; each sends metadata. */
const failing =
  (times: number, error: KratosError.KratosError = down, after = 0): Script =>
  (n, call) =>
    Effect.sync(() => {
      if (n < times) call.trailers.set("x-failed", [String(n)])
      else call.reply.set("x-served", [String(n)])
      return n < times ? { after, error } : undefined
    })

/** Text that does not compress. */
const words = (length: number, seed: number): string => {
  let text = ""
  for (let state = seed + 1; text.length < length; state = (state * 48_271) % 2_147_483_647) text += state.toString(36)
  return text
}

for (const { name, options } of wires) {
  describe(`retries over ${name}`, () => {
    for (const kind of kinds) {
      // a WebSocket's head has gone before its handler runs, and it has no trailers
      const isSocket = options.protocol === "rest" && (kind.method === "Put" || kind.method === "Talk")
      it.effect(`${kind.method}: until it succeeds; the request streams once, and no reply is seen but the last`, () =>
        Effect.gen(function* () {
          const server = yield* serve(failing(2))
          const replies = makeReplies()
          const aspects = Aspect.compose(replies.aspect, Retry.make({ limit }))
          const ledger = yield* clientOf(server, { ...options, aspects })
          let ran = 0
          const texts = Stream.fromIterable(["a", "b", "c"]).pipe(
            Stream.mapEffect((text) =>
              Effect.as(
                Effect.andThen(
                  turn,
                  Effect.sync(() => ran++)
                ),
                text
              )
            )
          )
          yield* passing(kind.call(ledger, texts))
          assert.deepStrictEqual(
            server.executions.map(({ previous }) => previous),
            [undefined, "1", "2"]
          )
          const sent = kind.method === "Read" || kind.method === "List" ? ["a"] : ["a", "b", "c"]
          for (const { texts } of server.executions) assert.deepStrictEqual(texts, sent)
          assert.strictEqual(ran, 3)
          assert.lengthOf(replies.headers, 1)
          if (!isSocket) assert.deepStrictEqual(replies.headers[0]!["x-served"], ["2"])
          assert.notProperty(replies.trailers[0], "x-failed")
          assert.notProperty(replies.headers[0], "x-failed")
        })
      )

      it.effect(`${kind.other}: never, once the server may have acted on it`, () =>
        Effect.gen(function* () {
          const server = yield* serve(failing(1))
          const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit }) })
          const error = yield* Effect.flip(passing(kind.callOther(ledger, Stream.make("a"))))
          assert.strictEqual(KratosError.code(error), 503)
          assert.lengthOf(server.executions, 1)
          // unless told
          const told = yield* clientOf(server, { ...options, aspects: Retry.make({ limit, idempotent: true }) })
          yield* passing(kind.callOther(told, Stream.make("a")))
        })
      )

      it.effect(`${kind.method}: not what the server says not to, nor what is the caller's own fault`, () =>
        Effect.gen(function* () {
          for (const [script, code] of [
            [
              (n, call) =>
                Effect.andThen(
                  Effect.sync(() => call.trailers.set("grpc-retry-pushback-ms", ["-1"])),
                  failing(9)(n, call)
                ),
              503
            ],
            [
              (n, call) =>
                Effect.andThen(
                  Effect.sync(() => call.trailers.set("grpc-retry-pushback-ms", ["soon"])),
                  failing(9)(n, call)
                ),
              503
            ],
            [failing(9, KratosError.badRequest("BAD", "no")), 400]
          ] as ReadonlyArray<readonly [Script, number]>) {
            if (isSocket && code === 503) continue
            const server = yield* serve(script)
            const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit }) })
            const error = yield* Effect.flip(passing(kind.call(ledger, Stream.make("a"))))
            assert.strictEqual(KratosError.code(error), code)
            assert.lengthOf(server.executions, 1)
          }
        })
      )

      if (!isSocket)
        it.effect(`${kind.method}: as long as the server says to wait, unless that is too long`, () =>
          Effect.gen(function* () {
            const at: Array<number> = []
            const server = yield* serve((n, call) =>
              Effect.gen(function* () {
                at.push(yield* Clock.currentTimeMillis)
                call.trailers.set("grpc-retry-pushback-ms", ["700"])
                return yield* failing(2)(n, call)
              })
            )
            const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit }) })
            yield* passing(kind.call(ledger, Stream.make("a")))
            assert.isAtLeast(at[1]! - at[0]!, 700)
            assert.isAtMost(at[1]! - at[0]!, 1000)
            assert.isAtLeast(at[2]! - at[1]!, 700)

            const again = yield* serve((n, call) =>
              Effect.andThen(
                Effect.sync(() => call.trailers.set("grpc-retry-pushback-ms", ["700"])),
                failing(9)(n, call)
              )
            )
            const hurried = yield* clientOf(again, { ...options, aspects: Retry.make({ limit, maxPushback: "500 millis" }) })
            assert.strictEqual(KratosError.code(yield* Effect.flip(passing(kind.call(hurried, Stream.make("a"))))), 503)
            assert.lengthOf(again.executions, 1)
          })
        )

      if (kind.streams)
        it.effect(`${kind.method}: not behind the first message`, () =>
          Effect.gen(function* () {
            const server = yield* serve(failing(9, down, 1))
            const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit }) })
            const error = yield* Effect.flip(passing(kind.call(ledger, Stream.make("a"))))
            assert.strictEqual(KratosError.code(error), 503)
            assert.lengthOf(server.executions, 1)
          })
        )

      it.effect(`${kind.method}: an interrupt ends the attempt that runs, and there is no other`, () =>
        Effect.gen(function* () {
          let interrupted = 0
          const server = yield* serve((n, call) =>
            n === 0 ? failing(1)(n, call) : Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
          )
          const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit }) })
          const fiber = yield* Effect.forkChild(passing(kind.call(ledger, Stream.make("a"))))
          yield* until(Effect.sync(() => server.executions.length === 2))
          yield* Fiber.interrupt(fiber)
          yield* until(Effect.sync(() => interrupted === 1))
          assert.lengthOf(server.executions, 2)
        })
      )
    }

    it.effect("a streamed request that is longer than what is kept is not tried again", () =>
      Effect.gen(function* () {
        const server = yield* serve(failing(1))
        const ledger = yield* clientOf(server, { ...options, aspects: Retry.make({ limit, maxRequestBytes: 2000 }) })
        const big = Stream.fromIterable(Array.from({ length: 10 }, (_, i) => words(1000, i)))
        const error = yield* Effect.flip(passing(ledger.put(Stream.map(big, (text) => ({ text })))))
        assert.strictEqual(KratosError.code(error), 503)
        assert.lengthOf(server.executions, 1)
        assert.lengthOf(server.executions[0]!.texts, 10)
      })
    )
  })
}

describe("Retry", () => {
  it.effect("knows what GET says on REST, and there only", () =>
    Effect.gen(function* () {
      const server = yield* serve(failing(1))
      const rest = yield* clientOf(server, { protocol: "rest", aspects: Retry.make({ limit }) })
      yield* passing(rest.look({ text: "a" }))
      assert.lengthOf(server.executions, 2)
      const other = yield* serve(failing(1))
      const grpc = yield* clientOf(other, { aspects: Retry.make({ limit }) })
      yield* Effect.flip(passing(grpc.look({ text: "a" })))
      assert.lengthOf(other.executions, 1)
    })
  )

  it.effect("gives attempts a time of their own, and says what is left of it", () =>
    Effect.gen(function* () {
      const left: Array<number | undefined> = []
      const server = yield* serve((n, call) =>
        Effect.gen(function* () {
          left.push(call.deadline === undefined ? undefined : call.deadline - (yield* Clock.currentTimeMillis))
          return n < 2 ? yield* Effect.never : undefined
        })
      )
      const ledger = yield* clientOf(server, { aspects: Retry.make({ limit, attemptTimeout: "300 millis" }) })
      yield* passing(ledger.read({ text: "a" }))
      assert.lengthOf(left, 3)
      // the wire rounds up
      for (const time of left) assert.approximately(time!, 300, 2)
      const slow = yield* Effect.flip(passing(ledger.add({ text: "a" })))
      assert.deepStrictEqual([KratosError.code(slow), server.executions.filter(({ method }) => method === "Add").length], [504, 1])
    })
  )

  it.effect("makes no attempt that cannot end in time", () =>
    Effect.gen(function* () {
      const server = yield* serve(failing(99))
      const ledger = yield* clientOf(server, {
        aspects: Retry.make({ limit, initialBackoff: "10 seconds", maxBackoff: "10 seconds", reserve: "20 seconds" })
      })
      const now = yield* Clock.currentTimeMillis
      const error = yield* Effect.flip(Effect.provideService(ledger.read({ text: "a" }), Deadline.Current, now + 20_000))
      assert.strictEqual(KratosError.reason(error), "DOWN")
      assert.strictEqual(yield* Clock.currentTimeMillis, now)
      assert.lengthOf(server.executions, 1)
    })
  )

  it.effect("what is inside of it runs for each attempt, what is outside for the call", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const see = (name: string): Aspect.Aspect =>
        Aspect.observe({
          start: (call) => void seen.push(`${name} ${call.attempt} ${call.tried?.length}`),
          end: (_, exit) => void seen.push(`${name} ${exit._tag}`)
        })
      const server = yield* serve(failing(1))
      const ledger = yield* clientOf(server, { aspects: Aspect.compose(see("outside"), Retry.make({ limit }), see("inside")) })
      yield* passing(ledger.read({ text: "a" }))
      assert.deepStrictEqual(seen, ["outside 0 0", "inside 0 0", "inside Failure", "inside 1 1", "inside Success", "outside Success"])
    })
  )

  it.effect("keeps to its budget", () =>
    Effect.gen(function* () {
      const server = yield* serve(failing(Infinity))
      const ledger = yield* clientOf(server, {
        aspects: Retry.make({ limit: RetryLimit.make({ budget: { ratio: 0.2, perSecond: 0 } }) })
      })
      for (let i = 0; i < 100; i++) yield* Effect.flip(passing(ledger.read({ text: "a" })))
      assert.isAtMost(server.executions.length, 120)
      assert.isAtLeast(server.executions.length, 115)
    })
  )

  it.effect("throttles as gRPC does where it is asked to", () =>
    Effect.gen(function* () {
      let broken = true
      const server = yield* serve(() => Effect.succeed(broken ? { after: 0, error: down } : undefined))
      const ledger = yield* clientOf(server, {
        aspects: Retry.make({ limit: RetryLimit.make({ budget: false, throttling: { maxTokens: 10, tokenRatio: 1 } }) })
      })
      // 10 tokens; the fifth failure leaves 5, which is half
      for (let i = 0; i < 4; i++) yield* Effect.flip(passing(ledger.read({ text: "a" })))
      assert.strictEqual(server.executions.length, 4 + 3)
      broken = false
      for (let i = 0; i < 10; i++) yield* passing(ledger.read({ text: "a" }))
      broken = true
      const before = server.executions.length
      yield* Effect.flip(passing(ledger.read({ text: "a" })))
      assert.strictEqual(server.executions.length - before, 4)
    })
  )

  it.effect("a chain of three layers over a dead one makes hardly more attempts than calls", () =>
    Effect.gen(function* () {
      const aspects = () => Retry.make({ limit: RetryLimit.make({ budget: { ratio: 0.2, perSecond: 0 } }) })
      const last = yield* serve(failing(Infinity))
      let below = yield* clientOf(last, { aspects: aspects() })
      const servers = [last]
      for (let layer = 0; layer < 2; layer++) {
        const next = below
        const server = yield* serve(() => Effect.asVoid(Effect.mapError(next.read({ text: "a" }), KratosError.from)))
        servers.push(server)
        below = yield* clientOf(server, { aspects: aspects() })
      }
      for (let i = 0; i < 100; i++) yield* Effect.flip(passing(below.read({ text: "a" })))
      const [atLast, atMiddle, atFirst] = servers.map(({ executions }) => executions.length)
      assert.isAtMost(atLast!, 120)
      assert.isAtLeast(atLast!, 110)
      assert.deepStrictEqual([atMiddle, atFirst], [100, 100])
    })
  )

  it.effect("with its defaults and a breaker, a backend that is down gets hardly more attempts than calls, under three layers too", () =>
    Effect.gen(function* () {
      const aspects = () => Aspect.compose(Retry.make(), CircuitBreaker.make())
      const server = yield* serve(failing(Infinity))
      const direct = yield* clientOf(server, { aspects: aspects() })
      const last = yield* serve(failing(Infinity))
      let below = yield* clientOf(last, { aspects: aspects() })
      for (let layer = 0; layer < 2; layer++) {
        const next = below
        const between = yield* serve(() => Effect.asVoid(Effect.mapError(next.read({ text: "a" }), KratosError.from)))
        below = yield* clientOf(between, { aspects: aspects() })
      }
      // 100 a second for five seconds, where 10 retries a second are much
      const calls = Effect.gen(function* () {
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let i = 0; i < 500; i++) {
          fibers.push(yield* Effect.forkChild(Effect.exit(direct.read({ text: "a" }))))
          fibers.push(yield* Effect.forkChild(Effect.exit(below.read({ text: "a" }))))
          yield* Effect.sleep("10 millis")
        }
        yield* Fiber.awaitAll(fibers)
      })
      yield* passing(calls)
      assert.isAtMost(server.executions.length, 500 * 1.2)
      assert.isAtMost(last.executions.length, 500 * 1.3)
      assert.isAtLeast(last.executions.length, 20)
    }).pipe(Random.withSeed("down"))
  )

  it.effect("tries what never reached a server, whatever it is", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => Effect.void)
      let refuse = 3
      const network = {
        ...server.network,
        connect: (to: Parameters<typeof server.network.connect>[0]) =>
          refuse-- > 0
            ? Effect.fail(NetworkError.connect(to, "ledger", Object.assign(new Error("down"), { code: "ECONNREFUSED" })))
            : server.network.connect(to)
      }
      const ledger = yield* clientOf(
        { address: server.address, network },
        { aspects: Retry.make({ limit, maxAttempts: 5, initialBackoff: "4 seconds", maxBackoff: "20 seconds" }) }
      )
      yield* passing(ledger.add({ text: "a" }))
      assert.lengthOf(server.executions, 1)
    }).pipe(Random.withSeed("unreached"))
  )

  it.effect("leaves defects and interrupts of the attempt alone", () =>
    Effect.gen(function* () {
      const server = yield* serve(failing(1))
      let runs = 0
      const dies: Aspect.Aspect = () => Effect.suspend(() => Effect.die(`defect ${++runs}`))
      const ledger = yield* clientOf(server, { aspects: Aspect.compose(Retry.make({ limit }), dies) })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ledger.read({ text: "a" }))))
      assert.strictEqual(runs, 1)
    })
  )
})
