import * as Registration from "@effect-kratos/core/registry/Registration"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as TestClock from "effect/testing/TestClock"

interface Fake {
  up: boolean
  hangs: boolean
  readonly listed: Map<string, number>
  /** Times of attempts. */
  readonly attempts: Array<number>
  /** One for each that is kept. */
  leases: Map<string, Deferred.Deferred<never, string>>
  next: number
  readonly released: Array<number>
  abandoned: number
  /** Everything it knew is gone, and whoever renews learns it. */
  readonly forget: Effect.Effect<void>
  readonly options: (id: string) => Registration.Options<number, string, never>
}

/** A registry that forgets and refuses on demand. */
const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const self: Fake = {
    up: true,
    hangs: false,
    listed: new Map(),
    attempts: [],
    leases: new Map(),
    next: 0,
    released: [],
    abandoned: 0,
    forget: Effect.suspend((): Effect.Effect<void> => {
      const { leases } = self
      self.leases = new Map()
      self.listed.clear()
      return Effect.forEach([...leases.values()], (lease) => Deferred.fail(lease, "no such lease"), { discard: true })
    }),
    options: (id) => ({
      name: id,
      acquire: Effect.suspend(() => {
        self.attempts.push(clock.currentTimeMillisUnsafe())
        if (self.hangs) return Effect.never
        if (!self.up) return Effect.fail("refused")
        const lease = ++self.next
        self.listed.set(id, lease)
        self.leases.set(id, Deferred.makeUnsafe())
        return Effect.succeed(lease)
      }),
      keep: () => Effect.suspend(() => Deferred.await(self.leases.get(id)!)),
      release: (lease) =>
        Effect.sync(() => {
          self.released.push(lease)
          if (self.listed.get(id) === lease) self.listed.delete(id)
        }),
      abandon: Effect.sync(() => {
        self.abandoned++
        self.listed.delete(id)
      })
    })
  }
  return self
})

const quiet = (lines: Array<string> = []) =>
  Logger.layer([Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${Array.isArray(message) ? message[0] : message}`))])

describe("Registration.keep", () => {
  it.effect("registers once, keeps it, and takes it away with its scope", () =>
    Effect.gen(function* () {
      const registry = yield* make
      const scope = yield* Scope.make()
      const state = yield* Scope.provide(Registration.keep(registry.options("a")), scope)
      assert.deepStrictEqual([...registry.listed], [["a", 1]])
      assert.deepStrictEqual(yield* SubscriptionRef.get(state), { status: "registered", failures: 0 })
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(registry.attempts, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([[...registry.listed], registry.released, registry.abandoned], [[], [1], 0])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(registry.attempts, 1)
    }).pipe(Effect.provide(quiet()))
  )

  it.effect("fails when the first attempt does, or takes too long, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const registry = yield* make
      registry.up = false
      assert.strictEqual(yield* Effect.flip(Effect.scoped(Registration.keep(registry.options("a")))), "refused")
      registry.hangs = true
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.scoped(Registration.keep(registry.options("a")))))
      yield* TestClock.adjust("5 seconds")
      assert.include(String(yield* Fiber.join(fiber)), "a: took longer than 5s")
      assert.strictEqual(registry.abandoned, 2)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(registry.attempts, 2)
    }).pipe(Effect.provide(quiet()))
  )

  it.effect("registers again what the registry has lost, however long it is away, and logs each change once", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const registry = yield* make
      const states: Array<Registration.State> = []
      yield* Effect.provideService(Registration.keep(registry.options("a")), Registration.onState, (state) => states.push(state))
      registry.up = false
      yield* registry.forget
      yield* TestClock.adjust("10 minutes")
      const { length } = registry.attempts
      // it neither gives up nor hammers: 10 s of window are 5 s on average
      assert.isAbove(length, 60)
      assert.isBelow(length, 240)
      assert.strictEqual(registry.listed.size, 0)
      registry.up = true
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(registry.listed.size, 1)
      assert.deepStrictEqual(
        states.filter(({ failures }) => failures === 0).map(({ status }) => status),
        ["registering", "registered", "lost", "registered"]
      )
      assert.strictEqual(states.filter(({ failures }) => failures > 0).length, length - 1)
      assert.deepStrictEqual(
        lines.filter((line) => !line.startsWith("Debug")),
        ["Warn a: the registry has lost it, registering again", `Info a: registered again after ${length - 1} failed attempts`]
      )
    }).pipe(Effect.scoped, Random.withSeed("lost"), Effect.provide(quiet(lines)))
  })

  it.effect("a thousand that are lost together come back spread out, all within the widest window", () =>
    Effect.gen(function* () {
      const registry = yield* make
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => String(i)),
        (id) => Registration.keep(registry.options(id)),
        { discard: true }
      )
      registry.up = false
      yield* registry.forget
      yield* TestClock.adjust("1 minute")
      registry.up = true
      registry.attempts.length = 0
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(registry.listed.size, 1000)
      const perSecond = new Map<number, number>()
      for (const at of registry.attempts) perSecond.set(Math.floor(at / 1000), (perSecond.get(Math.floor(at / 1000)) ?? 0) + 1)
      assert.isBelow(Math.max(...perSecond.values()), 300)
    }).pipe(Effect.scoped, Random.withSeed("stampede"), Effect.provide(quiet()))
  )

  it.effect("one that is lost again at once is registered less and less often: no busy loop", () =>
    Effect.gen(function* () {
      const registry = yield* make
      yield* Registration.keep({ ...registry.options("a"), keep: () => Effect.fail("no such lease") })
      yield* TestClock.adjust("10 minutes")
      assert.isAbove(registry.attempts.length, 60)
      assert.isBelow(registry.attempts.length, 240)
    }).pipe(Effect.scoped, Random.withSeed("flap"), Effect.provide(quiet()))
  )

  it.effect("a scope that closes while it is registered again takes away what the attempt may have left", () =>
    Effect.gen(function* () {
      const registry = yield* make
      const scope = yield* Scope.make()
      yield* Scope.provide(Registration.keep({ ...registry.options("a"), timeout: "1 minute" }), scope)
      registry.hangs = true
      yield* registry.forget
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(registry.attempts, 2)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([registry.abandoned, registry.released], [1, [1]])
      registry.hangs = false
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(registry.attempts, 2)
    }).pipe(Effect.provide(quiet()))
  )

  it.effect("a registry that does not answer holds up the end no longer than the timeout, and one that fails not at all", () =>
    Effect.gen(function* () {
      const registry = yield* make
      const scope = yield* Scope.make()
      yield* Scope.provide(Registration.keep({ ...registry.options("a"), release: () => Effect.never, timeout: "3 seconds" }), scope)
      yield* Scope.provide(Registration.keep({ ...registry.options("b"), release: () => Effect.die("away") }), scope)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(2999)
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(quiet()))
  )
})
