/** Deadlines: set by the caller, sent along, kept on every hop. */
import * as Timeout from "@effect-kratos/core/aspect/Timeout"
import * as CallModule from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Echo } from "../gen/test/v1/echo_effect.ts"
import { clientOf, implement, join, reaches, serve, settled, until, type Wire } from "../Harness.ts"

/** Runs under a deadline that is so many milliseconds away. */
const within =
  (millis: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.provideService(effect, Deadline.Current, now + millis))

/** Longer than any deadline here; on the clock of the tests it never passes. */
const delayMs = 1_000_000_000

type Shape = Effect.Success<ReturnType<typeof clientOf>>["echo"]

/** One call of each kind that does not end by itself. */
const endless = (echo: Shape): ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> => [
  ["Unary", echo.unary({ delayMs })],
  ["ServerStream", Stream.runDrain(echo.serverStream({ delayMs }))],
  ["ClientStream", echo.clientStream(Stream.concat(Stream.make({}), Stream.never))],
  ["Bidi", Stream.runDrain(echo.bidi(Stream.concat(Stream.make({}), Stream.never)))]
]

export const deadlines = (wire: Wire): void => {
  describe("deadlines", () => {
    it.effect("end a call of any kind on both sides, and the error says where", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        let interrupted = 0
        for (const [method, call] of endless(echo)) {
          const fiber = yield* Effect.forkChild(Effect.flip(within(1000)(call)))
          yield* reaches(journal.open, 1)
          yield* TestClock.adjust(999)
          assert.isUndefined(fiber.pollUnsafe(), method)
          yield* TestClock.adjust(11) // deadlines share timers of ten milliseconds
          const failure = yield* Fiber.join(fiber)
          assert.instanceOf(failure, KratosError.KratosError)
          assert.deepStrictEqual([failure.code, failure.reason], [504, "DEADLINE_EXCEEDED"])
          assert.include(failure.message, `/test.v1.Echo/${method}`)
          assert.include(failure.message, "client")
          yield* settled(journal)
          yield* reaches(journal.interrupted, ++interrupted)
        }
      })
    )

    it.effect("are sent by Deadline.Current and by a Timeout aspect, whichever is earlier", () =>
      Effect.gen(function* () {
        const seen: Array<number | undefined> = []
        const implementation = implement({
          *unary() {
            seen.push((yield* CallModule.Call).deadline, yield* Deadline.Current)
            return {}
          }
        })
        const server = yield* serve({ wire, implementation })
        const { echo } = yield* clientOf(server)
        const limited = yield* clientOf(server, { aspects: Timeout.make("2 seconds") })
        yield* echo.unary({})
        yield* within(1500)(echo.unary({}))
        yield* limited.echo.unary({})
        yield* within(1500)(limited.echo.unary({}))
        yield* within(2500)(limited.echo.unary({}))
        assert.deepStrictEqual(seen, [undefined, undefined, 1500, 1500, 2000, 2000, 1500, 1500, 2000, 2000])
      })
    )

    it.effect("that have passed do not reach the server", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        yield* echo.unary({})
        for (const [, call] of endless(echo)) assert.strictEqual(KratosError.code(yield* Effect.flip(within(0)(call))), 504)
        yield* echo.unary({})
        assert.deepStrictEqual([journal.done.ref.current, journal.open.ref.current], [2, 0])
      })
    )

    it.effect("reach the second hop less the time that has gone by", () =>
      Effect.gen(function* () {
        let left: number | undefined
        let asleep = false
        const back = yield* serve({
          wire,
          implementation: implement({
            *unary() {
              left = ((yield* Deadline.Current) ?? NaN) - (yield* Clock.currentTimeMillis)
              return {}
            }
          })
        })
        const { echo: inner } = yield* clientOf(back)
        const front = yield* join({
          wire,
          implementation: implement({
            unary: () =>
              Effect.andThen(
                Effect.andThen(
                  Effect.sync(() => (asleep = true)),
                  Effect.sleep(400)
                ),
                inner.unary({})
              )
          })
        })
        const fiber = yield* Effect.forkChild(within(1000)(front.echo.unary({})))
        yield* until(Effect.sync(() => asleep))
        yield* TestClock.adjust(400)
        yield* Fiber.join(fiber)
        assert.strictEqual(left, 600)
      })
    )

    it.effect("on a server without the caller's help: its handler ends, and the caller hears which hop", () =>
      Effect.gen(function* () {
        // a gateway whose own limit is shorter than its caller's patience
        const back = yield* serve({ wire })
        const { echo: inner } = yield* clientOf(back)
        const front = yield* join({
          wire,
          implementation: implement({ unary: (request) => inner.unary(request) }),
          aspects: Timeout.make(500)
        })
        const fiber = yield* Effect.forkChild(Effect.flip(front.echo.unary({ delayMs })))
        yield* reaches(back.journal.open, 1)
        yield* TestClock.adjust(510)
        const failure = yield* Fiber.join(fiber)
        assert.strictEqual(KratosError.code(failure), 504)
        assert.include(failure.message, "/test.v1.Echo/Unary")
        yield* settled(back.journal)
        yield* reaches(back.journal.interrupted, 1)
      })
    )
  })

  describe("a server as a proxy", () => {
    const chain = Effect.gen(function* () {
      const back = yield* serve({ wire })
      const { echo: remote } = yield* clientOf(back)
      const front = yield* join({ wire, implementation: Layer.succeed(Echo, remote) })
      return { back, echo: front.echo }
    })

    it.effect("serves a tag whose implementation is a client: all kinds, errors included", () =>
      Effect.gen(function* () {
        const { echo } = yield* chain
        assert.strictEqual((yield* echo.unary({ text: "hi" })).text, "hi")
        assert.lengthOf(yield* Stream.runCollect(echo.serverStream({ count: 3 })), 3)
        assert.strictEqual((yield* echo.clientStream(Stream.make({ text: "a" }, { text: "b" }))).text, "a,b")
        assert.lengthOf(yield* Stream.runCollect(echo.bidi(Stream.make({ count: 2 }, {}))), 3)
        for (const call of [echo.unary({ failReason: "TEAPOT" }), Stream.runDrain(echo.serverStream({ failReason: "TEAPOT" }))]) {
          assert.strictEqual((yield* Effect.flip(call))._tag, "Teapot")
        }
      })
    )

    it.effect("hands a cancellation on", () =>
      Effect.gen(function* () {
        const { back, echo } = yield* chain
        let interrupted = 0
        for (const [, call] of endless(echo)) {
          const fiber = yield* Effect.forkChild(call)
          yield* reaches(back.journal.open, 1)
          yield* Fiber.interrupt(fiber)
          yield* settled(back.journal)
          yield* reaches(back.journal.interrupted, ++interrupted)
        }
      })
    )

    it.effect("a mock is an implementation too", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({
          wire,
          implementation: Layer.mock(Echo)({
            unary: ({ text }) =>
              Effect.succeed({ $typeName: "test.v1.EchoReply", text: `mock ${text}`, payload: new Uint8Array(), index: 0, metadata: {} })
          })
        })
        assert.strictEqual((yield* echo.unary({ text: "hi" })).text, "mock hi")
        // a member that the mock has not is a defect of the handler
        assert.strictEqual(KratosError.code(yield* Effect.flip(echo.old({}))), 500)
        assert.strictEqual(KratosError.code(yield* Effect.flip(Stream.runDrain(echo.serverStream({})))), 500)
      })
    )
  })
}
