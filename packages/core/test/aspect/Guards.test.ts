/** Laws of every aspect that counts calls or refuses them: on both sides, for all kinds of method, alone and in a compiled stack. */
import * as CpuUsage from "@effect-kratos/aegis/CpuUsage"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Aspect from "../../src/Aspect.ts"
import * as Bulkhead from "../../src/aspect/Bulkhead.ts"
import * as RateLimit from "../../src/aspect/RateLimit.ts"
import type { Kind, Side } from "../../src/Call.ts"
import * as KratosError from "../../src/error/KratosError.ts"
import * as CallFixture from "../CallFixture.ts"

const kinds: ReadonlyArray<Kind> = ["unary", "client_streaming", "server_streaming", "bidi_streaming"]
const sides: ReadonlyArray<Side> = ["server", "client"]

interface Guard {
  readonly aspect: Aspect.Aspect<unknown, unknown>
  /** Calls that count now; a bucket of tokens counts none. */
  readonly inFlight: () => number
  readonly counts: boolean
}

const bulkhead = (options: Bulkhead.Options): Guard => {
  const aspect = Bulkhead.make(options)
  return { aspect, inFlight: () => aspect.running() + aspect.waiting(), counts: true }
}

/** The processor is busy, so that the limiter limits: two at a time before it has seen anything. */
const bbr = (options?: RateLimit.BbrOptions): Guard => {
  const aspect = RateLimit.bbr(options)
  return { aspect, inFlight: () => aspect.snapshot(0)?.inFlight ?? 0, counts: true }
}

const tokens = (): Guard => ({ aspect: RateLimit.tokens({ rate: 0.001, burst: 2 }), inFlight: () => 0, counts: false })

/** Guards with room for two calls. */
const guards: Readonly<Record<string, () => Guard>> = {
  "Bulkhead without a queue": () => bulkhead({ limit: 2 }),
  "Bulkhead with a queue": () => bulkhead({ limit: 1, queue: 1 }),
  "RateLimit.bbr": () => bbr(),
  "RateLimit.bbr by priority": () => bbr({ priorities: true }),
  "RateLimit.tokens": tokens
}

const busy = Context.make(CpuUsage.CpuUsage, { permille: () => 950 })

/** The two ways in which a wire runs a call. */
const ways = {
  alone: <A, E>(call: ReturnType<typeof CallFixture.make>, { aspect }: Guard, handler: Effect.Effect<A, E>) =>
    // the tests' aspects need the call and the processor
    Effect.exit(Effect.provideContext(CallFixture.run(call, aspect(handler) as Effect.Effect<A, unknown>), busy)),
  compiled: <A, E>(call: ReturnType<typeof CallFixture.make>, { aspect }: Guard, handler: Effect.Effect<A, E>) =>
    Effect.updateContext(CallFixture.runCompiled(call, aspect, handler), (context: Context.Context<never>) => Context.merge(context, busy))
}

const each = (
  law: (guard: () => Guard, call: ReturnType<typeof CallFixture.make>, run: (typeof ways)["alone"]) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function* () {
    for (const make of Object.values(guards))
      for (const side of sides)
        for (const kind of kinds) for (const run of Object.values(ways)) yield* law(make, CallFixture.make({ side, kind }), run)
  })

describe("guards", () => {
  it.effect("count nothing once a call has ended, however it ends", () =>
    each((make, call, run) =>
      Effect.gen(function* () {
        const guard = make()
        const ends: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          Effect.succeed(1),
          Effect.fail("failure"),
          Effect.die("defect"),
          Effect.interrupt
        ]
        for (const end of ends) {
          let seen = -1
          yield* run(
            call,
            guard,
            Effect.suspend(() => {
              seen = guard.inFlight()
              return end
            })
          )
          assert.strictEqual(guard.inFlight(), 0)
          if (guard.counts) assert.strictEqual(seen, 1)
        }
      })
    )
  )

  it.effect("count a call that is interrupted from outside, running or waiting, no longer", () =>
    each((make, call, run) =>
      Effect.gen(function* () {
        const guard = make()
        const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(run(call, guard, Effect.never), { startImmediately: true }))
        if (guard.counts) assert.strictEqual(guard.inFlight(), 2)
        yield* Fiber.interruptAll(fibers)
        // a wire ends the hooks of an interrupted call itself, which the fixture's fiber cannot
        if (run === ways.alone) assert.strictEqual(guard.inFlight(), 0)
      })
    )
  )

  it.effect("refuse what is too much with a typed error, and no handler runs", () =>
    each((make, call, run) =>
      Effect.gen(function* () {
        const guard = make()
        let handled = 0
        const handler = Effect.andThen(
          Effect.sync(() => handled++),
          Effect.never
        )
        // the limiter lets one more in than it thinks fits
        const first = yield* Effect.forEach([1, 2], () => Effect.forkChild(run(call, guard, handler), { startImmediately: true }))
        const before = handled
        const exit = yield* run(call, guard, handler)
        assert.isTrue(Exit.isFailure(exit), "the third is refused")
        const { code, reason } = KratosError.statusFromExit(exit)
        assert.include(["429 RATELIMIT", "503 BULKHEAD", "429 BULKHEAD"], `${code} ${reason}`)
        if (reason === "BULKHEAD") assert.strictEqual(code, call.side === "server" ? 503 : 429)
        assert.strictEqual(handled, before)
        yield* Fiber.interruptAll(first)
      })
    )
  )
})

describe("Bulkhead", () => {
  const call = CallFixture.make()
  const run = (aspect: Bulkhead.Bulkhead, handler: Effect.Effect<unknown, unknown>, key = call.operation) =>
    Effect.exit(CallFixture.run(CallFixture.make({ operation: key }), aspect(handler)))

  it.effect("gives the place of a call that ends to the one that has waited longest", () =>
    Effect.gen(function* () {
      const aspect = Bulkhead.make({ limit: 1, queue: 2 })
      const order: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const step = (name: string) => Effect.sync(() => void order.push(name))
      const first = yield* Effect.forkChild(run(aspect, Effect.andThen(step("a"), Deferred.await(gate))), { startImmediately: true })
      const b = yield* Effect.forkChild(run(aspect, step("b")), { startImmediately: true })
      const c = yield* Effect.forkChild(run(aspect, step("c")), { startImmediately: true })
      assert.deepStrictEqual([order, aspect.running(), aspect.waiting()], [["a"], 1, 2])
      const refused = yield* run(aspect, step("d"))
      assert.strictEqual(KratosError.statusFromExit(refused).reason, "BULKHEAD")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(b)
      yield* Fiber.join(c)
      assert.deepStrictEqual([order, aspect.running(), aspect.waiting()], [["a", "b", "c"], 0, 0])
    })
  )

  it.effect("lets nobody wait longer than it says", () =>
    Effect.gen(function* () {
      const aspect = Bulkhead.make({ limit: 1, queue: 5, wait: "2 seconds" })
      const first = yield* Effect.forkChild(run(aspect, Effect.never), { startImmediately: true })
      const second = yield* Effect.forkChild(run(aspect, Effect.void), { startImmediately: true })
      yield* TestClock.adjust("1900 millis")
      assert.strictEqual(aspect.waiting(), 1)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(KratosError.statusFromExit(yield* Fiber.join(second)).code, 503)
      assert.deepStrictEqual([aspect.running(), aspect.waiting()], [1, 0])
      yield* Fiber.interrupt(first)
      assert.strictEqual(aspect.running(), 0)
    })
  )

  it.effect("loses no place to a call that gives up while it gets one", () =>
    Effect.gen(function* () {
      const aspect = Bulkhead.make({ limit: 1, queue: 1 })
      for (let i = 0; i < 20; i++) {
        const gate = yield* Deferred.make<void>()
        const first = yield* Effect.forkChild(run(aspect, Deferred.await(gate)), { startImmediately: true })
        const second = yield* Effect.forkChild(run(aspect, Effect.never), { startImmediately: true })
        yield* Deferred.succeed(gate, undefined)
        for (let j = 0; j < i % 5; j++) yield* Effect.yieldNow
        yield* Fiber.interruptAll([second, first])
        assert.deepStrictEqual([aspect.running(), aspect.waiting()], [0, 0])
      }
    })
  )

  it.effect("keeps apart what has different keys, forgets keys without calls and bounds how many there are", () =>
    Effect.gen(function* () {
      const aspect = Bulkhead.make({ limit: 1, maxKeys: 2 })
      const a = yield* Effect.forkChild(run(aspect, Effect.never, "/a"), { startImmediately: true })
      const b = yield* Effect.forkChild(run(aspect, Effect.never, "/b"), { startImmediately: true })
      assert.deepStrictEqual([aspect.running("/a"), aspect.running("/b"), aspect.running("/c"), aspect.running()], [1, 1, 0, 2])
      assert.isTrue(Exit.isFailure(yield* run(aspect, Effect.void, "/c")))
      yield* Fiber.interrupt(a)
      assert.isTrue(Exit.isSuccess(yield* run(aspect, Effect.void, "/c")))
      yield* Fiber.interrupt(b)
    })
  )
})
