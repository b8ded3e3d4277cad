import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { TestClock } from "effect/testing"
import * as Aspect from "../../src/Aspect.ts"
import * as Timeout from "../../src/aspect/Timeout.ts"
import type { CallShape } from "../../src/Call.ts"
import * as Deadline from "../../src/Deadline.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as CallFixture from "../CallFixture.ts"

/** Runs a call that never ends; returns when it did, in milliseconds, and how. */
const end = (aspect: Aspect.Aspect<KratosError.KratosError>, fields: Partial<CallShape> = {}, outer?: Deadline.Deadline) =>
  Effect.gen(function* () {
    const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const fiber = yield* CallFixture.run(CallFixture.make(fields), aspect(Effect.never)).pipe(
      Effect.provideService(Deadline.Current, outer === undefined ? undefined : start + outer),
      Effect.forkChild({ startImmediately: true })
    )
    for (let passed = 0; passed <= 5000; passed += 100) {
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) {
        assert.isTrue(Exit.isFailure(exit))
        const error = yield* Effect.flip(exit as Exit.Exit<never, KratosError.KratosError>)
        assert.deepStrictEqual([error.code, error.reason], [504, Timeout.reason])
        return { after: passed, message: error.message }
      }
      yield* TestClock.adjust("100 millis")
    }
    yield* Fiber.interrupt(fiber)
    return "endless"
  })

const operation = "/user.v1.Users/Get"

describe("Timeout", () => {
  it.effect("ends a call at its own limit, and says whose it was", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* end(Timeout.server), { after: 1000, message: `server: ${operation} exceeded its own limit of 1s` })
      assert.deepStrictEqual(yield* end(Timeout.client, { side: "client", endpoint: "discovery:///users" }), {
        after: 2000,
        message: `client of discovery:///users: ${operation} exceeded its own limit of 2s`
      })
    })
  )

  it.effect("keeps an earlier deadline, and says whose it was", () =>
    Effect.gen(function* () {
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      assert.deepStrictEqual(yield* end(Timeout.server, { deadline: now + 300 }), {
        after: 300,
        message: `server: ${operation} exceeded the deadline that its caller sent`
      })
      assert.deepStrictEqual(yield* end(Timeout.client, { side: "client", endpoint: "a" }, 500), {
        after: 500,
        message: `client of a: ${operation} exceeded the deadline of the call that it is part of`
      })
      assert.deepStrictEqual(yield* end(Timeout.server, {}, 200), {
        after: 200,
        message: `server: ${operation} exceeded a deadline set around it`
      })
      assert.deepInclude(yield* end(Timeout.server, {}, 4000), { after: 1000 })
    })
  )

  it.effect("does not begin what is late already", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 minute")
      let began = false
      const handler = Effect.sync(() => (began = true))
      const error = yield* Effect.flip(CallFixture.run(CallFixture.make({ deadline: 1000 }), Timeout.server(handler)))
      assert.strictEqual(error.code, 504)
      assert.isFalse(began)
    })
  )

  it.effect("leaves streams alone unless asked, but not their deadlines", () =>
    Effect.gen(function* () {
      const stream = { kind: "server_streaming" } as const
      assert.strictEqual(yield* end(Timeout.server, stream), "endless")
      assert.deepInclude(yield* end(Timeout.make({ streams: "3 seconds" }), stream), { after: 3000 })
      assert.deepInclude(yield* end(Timeout.server, stream, 400), { after: 400 })
    })
  )

  it.effect("takes limits by operation", () =>
    Effect.gen(function* () {
      const aspect = Timeout.make({ duration: "1 second", operations: { [operation]: "200 millis", "/slow": "Infinity" } })
      assert.deepInclude(yield* end(aspect), { after: 200 })
      assert.deepInclude(yield* end(aspect, { kind: "bidi_streaming" }), { after: 200 })
      assert.deepInclude(yield* end(aspect, { operation: "/other" }), { after: 1000 })
      assert.strictEqual(yield* end(aspect, { operation: "/slow" }), "endless")
      assert.strictEqual(yield* end(Timeout.make({})), "endless")
      assert.deepInclude(yield* end(Timeout.make({ seconds: 2 })), { after: 2000 })
    })
  )

  it.effect("hands the deadline down, and interrupts what it ends", () =>
    Effect.gen(function* () {
      const deadline = yield* CallFixture.run(CallFixture.make(), Timeout.server(Deadline.Current))
      assert.strictEqual(deadline, 1000)
      let interrupted = false
      const handler = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
      const fiber = yield* Effect.forkChild(CallFixture.run(CallFixture.make(), Timeout.server(handler)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.isTrue(interrupted)
    })
  )

  it.effect("lets what it ends come to its end, interrupts it with its caller, and passes on what comes in time", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const handler = Effect.sleep("1 minute").pipe(
        Effect.onInterrupt(() =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => log.push("cleaned up"))
          )
        )
      )
      const call = CallFixture.run(CallFixture.make(), Timeout.server(handler))
      const late = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true })
      yield* TestClock.adjust("1500 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* Fiber.join(late)).reason, Timeout.reason)
      assert.deepStrictEqual(log, ["cleaned up"])

      const given = yield* Effect.forkChild(call, { startImmediately: true })
      const stopped = yield* Effect.forkChild(Fiber.interrupt(given), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(stopped)
      assert.deepStrictEqual(log, ["cleaned up", "cleaned up"])

      const soon = Effect.andThen(Effect.sleep("900 millis"), Effect.fail("no" as const))
      const failed = yield* Effect.forkChild(Effect.flip(CallFixture.run(CallFixture.make(), Timeout.server(soon))), {
        startImmediately: true
      })
      yield* TestClock.adjust("900 millis")
      assert.strictEqual(yield* Fiber.join(failed), "no")
    })
  )

  it.effect("waits once for many calls, and for nothing when they are over", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeping = 0
      let most = 0
      const counted: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        sleep: (duration: Duration.Duration) =>
          Effect.suspend(() => {
            most = Math.max(most, ++sleeping)
            return Effect.ensuring(
              clock.sleep(duration),
              Effect.sync(() => sleeping--)
            )
          })
      })
      const run = (handler: Effect.Effect<void>) =>
        Effect.forkChild(Effect.provideService(CallFixture.run(CallFixture.make(), Timeout.server(handler)), Clock.Clock, counted), {
          startImmediately: true
        })
      const latch = yield* Latch.make()
      const fibers = yield* Effect.all(Array.from({ length: 100 }, () => run(latch.await)))
      assert.strictEqual(sleeping, 1)
      yield* latch.open
      yield* Fiber.joinAll(fibers)
      assert.strictEqual(sleeping, 0)
      yield* Fiber.join(yield* run(Effect.void))
      assert.strictEqual(most, 1)
    })
  )

  it.effect("keeps time for the answer when it is asked to", () =>
    Effect.gen(function* () {
      const aspect = Timeout.make({ duration: "1 second", reserve: "100 millis" })
      assert.strictEqual(yield* CallFixture.run(CallFixture.make(), aspect(Deadline.Current)), 900)
      assert.strictEqual(yield* CallFixture.run(CallFixture.make({ deadline: 500 }), aspect(Deadline.Current)), 400)
      assert.strictEqual(yield* CallFixture.run(CallFixture.make({ deadline: 50 }), aspect(Deadline.Current)), 0)
      assert.deepInclude(yield* end(aspect), { after: 1000 })
    })
  )

  describe("right around what ends by itself", () => {
    const method = CallFixture.make({ side: "client", endpoint: "a" })
    /** A wire: it has no other way to end than its deadline, and says so in its own words. */
    const wire = Effect.gen(function* () {
      const left = yield* Deadline.remaining
      if (left === undefined) return yield* Effect.never
      yield* Effect.sleep(left)
      return yield* KratosError.gatewayTimeout(Timeout.reason, "no reply")
    })
    /** Something that may take time of its own. */
    const slow: Aspect.Aspect = (call) => Effect.andThen(Effect.yieldNow, call)
    const fibers = Effect.gen(function* () {
      const { id } = yield* Effect.withFiber((fiber) => Effect.succeed(fiber))
      return id
    })
    const forms = [true, false].map((punctual) => ({
      punctual,
      of: (aspect: Aspect.Aspect<KratosError.KratosError>) => Aspect.forMethod(aspect, method, { punctual })
    }))

    it.effect("fails at the same time with the same words, whoever ends it", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const behind = Aspect.compose(Timeout.client, slow)
        const stacks: ReadonlyArray<Aspect.Aspect<KratosError.KratosError>> = [
          Timeout.client,
          Aspect.compose(Timeout.make("3 seconds"), Timeout.client),
          Aspect.compose(Timeout.client, Aspect.observe({ start: () => undefined, end: (_, exit) => void seen.push(exit._tag) })),
          behind
        ]
        for (const stack of stacks) {
          for (const { of, punctual } of forms) {
            // what does not end by itself is interrupted
            const call: typeof wire = punctual && stack !== behind ? wire : Effect.never
            const fiber = yield* CallFixture.run(method, of(stack)(call)).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
            yield* TestClock.adjust("1999 millis")
            assert.isUndefined(fiber.pollUnsafe(), String(punctual))
            yield* TestClock.adjust("1 millis")
            const error = yield* Fiber.join(fiber)
            assert.strictEqual(error.message, `client of a: ${operation} exceeded its own limit of 2s`, String(punctual))
          }
        }
        assert.deepStrictEqual(seen, ["Failure", "Failure"])
      })
    )

    it.effect("runs in the fiber of its caller, and elsewhere in one that it can interrupt", () =>
      Effect.gen(function* () {
        const own = yield* fibers
        for (const { of, punctual } of forms) {
          assert.strictEqual((yield* CallFixture.run(method, of(Timeout.client)(fibers))) === own, punctual)
          assert.notStrictEqual(yield* CallFixture.run(method, of(Aspect.compose(Timeout.client, slow))(fibers)), own)
        }
      })
    )

    it.effect("leaves the errors of others as they are", () =>
      Effect.gen(function* () {
        const early = KratosError.gatewayTimeout(Timeout.reason, "of the server")
        for (const { of } of forms)
          assert.strictEqual(yield* Effect.flip(CallFixture.run(method, of(Timeout.client)(Effect.fail(early)))), early)
      })
    )
  })
})
