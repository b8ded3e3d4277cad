/** Aspects on both sides see every call once, from its beginning to its end. */
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { implement, join, reaches, until, type Wire } from "../Harness.ts"

const outcome = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? "ok"
    : Cause.hasInterrupts(exit.cause)
      ? "interrupt"
      : Cause.hasDies(exit.cause)
        ? "die"
        : KratosError.reason(Cause.squash(exit.cause))

/** An observer and a wrapper that write down what they see. */
const makeLog = () => {
  const starts: Array<string> = []
  const ends: Array<string> = []
  const observer = Aspect.observe({
    start: (call) => void starts.push(`observe ${call.method}`),
    end: (call, exit) => void ends.push(`observe ${call.method} ${outcome(exit)}`)
  })
  const wrapper: Aspect.Aspect = (call) =>
    Effect.withFiber((fiber) => {
      const { method } = Context.getUnsafe(fiber.context, Call)
      starts.push(`wrap ${method}`)
      return Effect.onExit(call, (exit) => Effect.sync(() => void ends.push(`wrap ${method} ${outcome(exit)}`)))
    })
  return {
    starts,
    ends,
    /** Observers outside and inside of a wrapper take different ways. */
    aspect: Aspect.compose(observer, wrapper, observer),
    take: () => {
      const taken = [starts.splice(0), ends.splice(0).sort()]
      return taken
    }
  }
}

const Word = Context.Reference<string>("test/Word", { defaultValue: () => "nothing" })

/** On the clock of the tests it never passes. */
const delayMs = 1_000_000_000

export const aspects = (wire: Wire): void => {
  describe("aspects", () => {
    it.effect("see each call once on each side with its exit, whatever the kind and the end", () =>
      Effect.gen(function* () {
        const client = makeLog()
        const server = makeLog()
        const { echo, journal } = yield* join({ wire, aspects: server.aspect, client: { aspects: client.aspect } })
        const kinds = [
          ["Unary", (failReason: string) => echo.unary({ failReason })],
          ["ServerStream", (failReason: string) => Stream.runDrain(echo.serverStream({ failReason, count: 3 }))],
          ["ClientStream", (failReason: string) => echo.clientStream(Stream.make({ failReason }))],
          ["Bidi", (failReason: string) => Stream.runDrain(echo.bidi(Stream.make({ failReason })))]
        ] as const
        const expected = (method: string, end: string) => [
          [`observe ${method}`, `wrap ${method}`, `observe ${method}`],
          [`observe ${method} ${end}`, `observe ${method} ${end}`, `wrap ${method} ${end}`]
        ]
        for (const [method, call] of kinds) {
          for (const [failReason, atServer, atClient] of [
            ["", "ok", "ok"],
            ["TEAPOT", "TEAPOT", "TEAPOT"],
            ["unknown", "die", ""]
          ] as const) {
            yield* Effect.exit(call(failReason))
            assert.deepStrictEqual(client.take(), expected(method, atClient), `client ${method} ${failReason}`)
            assert.deepStrictEqual(server.take(), expected(method, atServer), `server ${method} ${failReason}`)
          }
        }
        const endless = [
          ["Unary", echo.unary({ delayMs })],
          ["ServerStream", Stream.runDrain(echo.serverStream({ delayMs }))],
          ["ClientStream", echo.clientStream(Stream.never)],
          ["Bidi", Stream.runDrain(echo.bidi(Stream.never))]
        ] as const
        for (const [method, call] of endless) {
          const fiber = yield* Effect.forkChild(call as Effect.Effect<unknown, unknown>)
          yield* reaches(journal.open, 1)
          yield* Fiber.interrupt(fiber)
          yield* until(Effect.sync(() => server.ends.length === 3))
          assert.deepStrictEqual(client.take(), expected(method, "interrupt"))
          assert.deepStrictEqual(server.take(), expected(method, "interrupt"))
        }
        assert.lengthOf(yield* Stream.runCollect(Stream.take(echo.serverStream({ count: 1_000_000 }), 1)), 1)
        yield* until(Effect.sync(() => server.ends.length === 3))
        assert.deepStrictEqual(client.take(), expected("ServerStream", "interrupt"))
        assert.deepStrictEqual(server.take(), expected("ServerStream", "interrupt"))
      })
    )

    it.effect("surround the whole of a stream, and what they provide is there all along", () =>
      Effect.gen(function* () {
        const events: Array<string> = []
        const around =
          (name: string): Aspect.Aspect =>
          (call) =>
            Effect.acquireUseRelease(
              Effect.sync(() => events.push(`${name} opens`)),
              () => Effect.provideService(call, Word, name),
              () => Effect.sync(() => events.push(`${name} closes`))
            )
        const say = (text: string) => Effect.map(Word, (word) => (events.push(`${text} ${word}`), { text }))
        const { echo } = yield* join({
          wire,
          aspects: around("server"),
          implementation: implement({
            unary: () => say("handler"),
            serverStream: () => Stream.mapEffect(Stream.make("1", "2"), say),
            bidi: (requests) => Stream.mapEffect(requests, ({ text }) => say(text))
          })
        })
        yield* echo.unary({})
        yield* Stream.runDrain(echo.serverStream({}))
        yield* Stream.runDrain(echo.bidi(Stream.make({ text: "a" }, { text: "b" })))
        assert.deepStrictEqual(events, [
          "server opens",
          "handler server",
          "server closes",
          "server opens",
          "1 server",
          "2 server",
          "server closes",
          "server opens",
          "a server",
          "b server",
          "server closes"
        ])
      })
    )

    it.effect("can refuse a call; the handler does not run, the caller gets the error", () =>
      Effect.gen(function* () {
        const refuse: Aspect.Aspect<KratosError.KratosError> = () => Effect.fail(KratosError.unauthorized("TOKEN", "who are you?"))
        for (const options of [{ aspects: refuse }, { client: { aspects: refuse } }]) {
          const { echo, journal } = yield* join({ wire, ...options })
          const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
            echo.unary({}),
            Stream.runDrain(echo.serverStream({})),
            echo.clientStream(Stream.never),
            Stream.runDrain(echo.bidi(Stream.never))
          ]
          for (const call of calls) {
            const failure = yield* Effect.flip(call)
            assert.deepStrictEqual([KratosError.code(failure), KratosError.reason(failure)], [401, "TOKEN"])
          }
          assert.strictEqual(journal.done.ref.current, 0)
        }
      })
    )

    it.effect("on the client can call again", () =>
      Effect.gen(function* () {
        let tries = 0
        const { echo } = yield* join({
          wire,
          implementation: implement({
            unary: () =>
              Effect.suspend(() =>
                ++tries < 3 ? Effect.fail(KratosError.serviceUnavailable("", "not yet")) : Effect.succeed({ index: tries })
              )
          }),
          client: { aspects: (call) => Effect.retry(call, { times: 5 }) }
        })
        assert.strictEqual((yield* echo.unary({})).index, 3)
      })
    )

    it.effect("that throw are defects of their call and hurt no other", () =>
      Effect.gen(function* () {
        let broken = true
        const fragile = Aspect.observe({
          start: () => {
            if (broken) throw new Error("hunter2")
          },
          end: () => undefined
        })
        const { echo } = yield* join({ wire, aspects: fragile })
        const failure = yield* Effect.flip(echo.unary({}))
        assert.deepStrictEqual([KratosError.code(failure), failure.message], [500, "internal error"])
        broken = false
        assert.strictEqual((yield* echo.unary({ text: "fine" })).text, "fine")
      })
    )
  })
}
