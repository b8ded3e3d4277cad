/**
 * What every registry must do, whatever it is made of. `suite` declares the tests; an adapter says how a process comes to the registry and, where it can,
 * how the registry forgets, restarts and becomes unreachable. Laws wait for events, never for a time, so that a registry may be as slow as it is.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { instanceWith, join, type Process, process, until } from "./internal/RegistryProcess.ts"

/** A registry, empty at first, of one test alone. */
export interface Place {
  /** What one process has of it: connections of its own, until the scope closes. */
  readonly connect: Effect.Effect<Context.Context<Registrar | Discovery>, unknown, Scope.Scope>
  /** The registry forgets an instance that is registered, as when an operator deletes it or its lease runs out. */
  readonly forget?: ((instance: ServiceInstance.ServiceInstance) => Effect.Effect<void, unknown>) | undefined
  /** Registers in a process of its own and kills that. What it leaves has to be gone after the registry's time to live. */
  readonly killed?: ((instance: ServiceInstance.ServiceInstance) => Effect.Effect<void, unknown, Scope.Scope>) | undefined
  /** Stops the registry and starts it again, at the same address. */
  readonly restart?: Effect.Effect<void, unknown> | undefined
  /** Makes the registry unreachable for all processes while the scope is open. */
  readonly cut?: Effect.Effect<void, unknown, Scope.Scope> | undefined
  /** Texts that may appear in no error: passwords and tokens that the registry was given. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

export interface Options {
  /** For a change to be seen; how long a law waits before it fails. More than the time to live, and
   * than the time that a watch lets a returned registry settle. Default 20 seconds. */
  readonly patience?: Duration.Input | undefined
  /** How many instances the registry has to bear. Default 1,000. */
  readonly many?: number | undefined
  /** Names and ids that must be kept apart. Default: some with dots, slashes, blanks and letters beyond ASCII. */
  readonly names?: ReadonlyArray<string> | undefined
  /** Of the instances that are registered. Default: keys and values with odd characters. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Skips the suite, saying why, where what it needs is missing. */
  readonly skip?: string | undefined
}

const oddNames = ["helloworld.v1.Greeter", "shop_cart-2", "two words", "bücher", "../up", "..", "a/b", "a%2Fb", ".hidden", "x".repeat(100)]

/** Declares the laws for the registries that `place` makes, one for each test. `services` is built once. */
export const suite = <R, E>(
  name: string,
  place: Effect.Effect<Place, unknown, R | Scope.Scope>,
  services: Layer.Layer<R, E>,
  options: Options = {}
): void => {
  const { many = 1000, metadata = { zone: "a", "<&>": "\u2028" }, names = oddNames, patience = "20 seconds", skip } = options
  const instance = instanceWith(metadata)
  const millis = Duration.toMillis(Duration.fromInputUnsafe(patience))
  const title = `registry laws: ${name}${skip === undefined ? "" : ` (skipped: ${skip})`}`

  describe.skipIf(skip !== undefined)(title, () => {
    it.layer(services, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
      type Body = (a: Process, place: Place, b: Effect.Effect<Process, unknown, Scope.Scope>) => Effect.Effect<void, unknown, Scope.Scope>
      const law = (text: string, body: Body) =>
        it.effect(
          text,
          () =>
            Effect.gen(function* () {
              const self = yield* place
              const open = process(self.connect, millis)
              return yield* body(yield* open, self, open)
            }).pipe(Effect.scoped),
          millis * 3 + 10_000
        )
      /** A law of registries whose adapter has `key`; declared for all, so that a report says what was left out. */
      const lawWith = <K extends "forget" | "killed" | "restart" | "cut">(
        key: K,
        text: string,
        body: (
          capability: NonNullable<Place[K]>,
          a: Process,
          place: Place,
          b: Effect.Effect<Process, unknown, Scope.Scope>
        ) => Effect.Effect<void, unknown, Scope.Scope>
      ) =>
        law(text, (a, place, b) => {
          const capability = place[key]
          return capability === undefined ? Effect.logInfo(`${name}: no "${key}", left out`) : body(capability, a, place, b)
        })

      law("an unknown name has the empty list, which a watch tells first", (a) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* a.get("nobody"), [])
          const watch = yield* a.watch("nobody")
          yield* watch.until("")
        })
      )
      law("lists what is registered, whole, to its own process and to others", (a, _, other) =>
        Effect.gen(function* () {
          const b = yield* other
          const [mine, theirs] = [yield* a.watch("greeter"), yield* b.watch("greeter")]
          yield* a.register(instance("1"))
          for (const watch of [mine, theirs]) {
            const [found] = yield* watch.until("1")
            assert.isTrue(found !== undefined && ServiceInstance.equals(found, instance("1")), JSON.stringify(found))
          }
          assert.strictEqual(join(yield* b.get("greeter")), "1")
        })
      )
      law("a watch tells what is there first, and the last instance that leaves as the empty list", (a) =>
        Effect.gen(function* () {
          const early = yield* a.watch("greeter")
          yield* early.until("")
          const { deregister } = yield* a.register(instance("1"))
          yield* early.until("1")
          const late = yield* a.watch("greeter")
          assert.strictEqual(join(yield* late.first), "1")
          yield* deregister
          for (const watch of [early, late]) yield* watch.until("")
          assert.deepStrictEqual(yield* a.get("greeter"), [])
        })
      )
      law("lists are ordered by id, and take away the one that leaves", (a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          const { deregister } = yield* a.register(instance("2"))
          yield* a.register(instance("10"))
          yield* a.register(instance("1"))
          yield* watch.until("1,10,2")
          yield* deregister
          yield* watch.until("1,10")
        })
      )
      law("registered again, the later one counts; the end of the earlier one does not take it away", (a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          const earlier = yield* a.register(instance("1", "greeter", "1.0.0"))
          yield* watch.until("1")
          const later = yield* a.register(instance("1", "greeter", "2.0.0"))
          const replaced = yield* watch.fits((list) => list[0]?.version === "2.0.0")
          assert.lengthOf(replaced, 1)
          yield* earlier.deregister
          assert.deepStrictEqual(
            (yield* a.get("greeter")).map(({ version }) => version),
            ["2.0.0"]
          )
          yield* later.deregister
          yield* watch.until("")
        })
      )
      law("registered twice alike, it stays until the later end", (a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          const earlier = yield* a.register(instance("1"))
          const later = yield* a.register(instance("1"))
          yield* watch.until("1")
          yield* earlier.deregister
          assert.strictEqual(join(yield* a.get("greeter")), "1")
          yield* later.deregister
          yield* watch.until("")
        })
      )
      law("keeps services apart, also those whose names begin alike", (a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          yield* a.register(instance("1", "greeter2"))
          yield* a.register(instance("2", "greeter"))
          yield* watch.until("2")
          assert.strictEqual(join(yield* a.get("greeter2")), "1")
        })
      )
      law("takes names and ids with odd characters", (a) =>
        Effect.gen(function* () {
          for (const name of names) yield* a.register(instance(name, name))
          for (const name of names) {
            const watch = yield* a.watch(name)
            const [found] = yield* watch.fits((list) => list.length > 0)
            assert.deepStrictEqual([found?.name, found?.id], [name, name])
            assert.lengthOf(yield* a.get(name), 1)
          }
        })
      )
      law("one watch that ends does not disturb another", (a) =>
        Effect.gen(function* () {
          const stays = yield* a.watch("greeter")
          const scope = yield* Scope.make()
          const leaves = yield* Scope.provide(a.watch("greeter"), scope)
          const { deregister } = yield* a.register(instance("1"))
          yield* leaves.until("1")
          yield* Scope.close(scope, Exit.void)
          yield* deregister
          yield* stays.until("")
        })
      )
      law("a slow reader gets the last list", (a) =>
        Effect.gen(function* () {
          const gate = yield* Latch.make()
          let last = ""
          const reader = yield* a.changes("greeter").pipe(
            Stream.takeUntil((list) => list.length === 10),
            Stream.runForEach((list) =>
              Effect.andThen(
                gate.await,
                Effect.sync(() => (last = join(list)))
              )
            ),
            Effect.forkScoped({ startImmediately: true })
          )
          for (let i = 0; i < 10; i++) yield* a.register(instance(String(i)))
          yield* gate.open
          yield* until(Fiber.join(reader), millis, () => `the last list was ${last}`)
          assert.strictEqual(last, "0,1,2,3,4,5,6,7,8,9")
        })
      )
      law(`bears ${many} instances, and lets them all go`, (a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          const all = Array.from({ length: many }, (_, i) => instance(String(i).padStart(6, "0")))
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Effect.forEach(all, (one) => a.keep(one), { concurrency: 32, discard: true })
              const list = yield* watch.fits((list) => list.length === many)
              assert.strictEqual(join(list), all.map(({ id }) => id).join())
              assert.lengthOf(yield* a.get("greeter"), many)
            })
          )
          yield* watch.until("")
        })
      )
      law("registrations that are interrupted leave nothing behind", (a) =>
        Effect.gen(function* () {
          for (let i = 0; i < 20; i++) {
            const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(a.keep(instance(String(i))), Effect.never)))
            for (let turns = yield* Random.nextIntBetween(0, 20); turns > 0; turns--) yield* Effect.yieldNow
            if (i % 4 === 0) yield* Effect.sleep(yield* Random.nextIntBetween(0, 5))
            yield* Fiber.interrupt(fiber)
          }
          yield* a.register(instance("last"))
          yield* (yield* a.watch("greeter")).until("last")
          yield* Effect.sleep("100 millis")
          assert.strictEqual(join(yield* a.get("greeter")), "last")
        })
      )
      law("at rest it neither tells lists nor keeps the processor busy", (a) =>
        Effect.gen(function* () {
          yield* a.register(instance("1"))
          const watch = yield* a.watch("greeter")
          yield* watch.until("1")
          const told = watch.told()
          const before = globalThis.process.cpuUsage()
          yield* Effect.sleep("1 second")
          const { system, user } = globalThis.process.cpuUsage(before)
          assert.strictEqual(watch.told(), told)
          assert.isBelow((system + user) / 1e6, 0.5, "seconds of processor time in a second at rest")
        })
      )

      lawWith("forget", "what the registry forgets is registered again", (forget, a, _, other) =>
        Effect.gen(function* () {
          yield* a.register(instance("1"))
          const watch = yield* (yield* other).watch("greeter")
          yield* watch.until("1")
          for (let i = 0; i < 3; i++) {
            yield* forget(instance("1"))
            yield* a.eventually("greeter", "1")
          }
        })
      )
      lawWith("forget", "what is forgotten after its end stays forgotten", (forget, a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          const { deregister } = yield* a.register(instance("1"))
          yield* watch.until("1")
          yield* forget(instance("1"))
          yield* deregister
          yield* a.eventually("greeter", "")
          yield* Effect.sleep("200 millis")
          assert.deepStrictEqual(yield* a.get("greeter"), [])
        })
      )
      lawWith("killed", "what a killed process has registered goes with its time to live, and nothing else does", (killed, a) =>
        Effect.gen(function* () {
          const watch = yield* a.watch("greeter")
          yield* a.register(instance("1"))
          yield* killed(instance("2"))
          yield* watch.fits((list) => join(list) === "1,2")
          yield* watch.until("1")
        })
      )
      lawWith("restart", "after a restart of the registry everything is listed again and watches go on", (restart, a, _, other) =>
        Effect.gen(function* () {
          const b = yield* other
          const watch = yield* b.watch("greeter")
          yield* a.register(instance("1"))
          yield* b.register(instance("2"))
          yield* watch.until("1,2")
          yield* restart
          yield* a.eventually("greeter", "1,2")
          yield* a.register(instance("3"))
          yield* watch.until("1,2,3")
        })
      )
      lawWith(
        "cut",
        "unreachable, it fails typed and keeps secrets; watches keep their lists; reachable, all goes on",
        (cut, a, place, other) =>
          Effect.gen(function* () {
            const b = yield* other
            const watch = yield* b.watch("greeter")
            const leaver = yield* a.register(instance("0"))
            yield* a.register(instance("1"))
            yield* watch.until("0,1")
            const told = watch.told()
            yield* Effect.scoped(
              Effect.gen(function* () {
                yield* cut
                for (const attempt of [a.get("greeter"), Effect.scoped(a.keep(instance("9")))]) {
                  const exit = yield* Effect.exit(Effect.timeout(attempt, millis))
                  assert.isTrue(Exit.isFailure(exit), "it succeeded without its registry")
                  if (!Exit.isFailure(exit)) continue
                  const error = Cause.squash(exit.cause)
                  assert.strictEqual((error as { readonly _tag?: unknown })._tag, "RegistryError", Cause.pretty(exit.cause))
                  for (const secret of place.secrets ?? []) assert.notInclude(Cause.pretty(exit.cause) + JSON.stringify(error), secret)
                }
                assert.strictEqual(watch.told(), told)
                // taken away meanwhile: the registry learns it later, by the time to live at the latest
                yield* leaver.deregister
              })
            )
            yield* a.register(instance("2"))
            yield* watch.until("1,2")
            yield* b.eventually("greeter", "1,2")
          })
      )
    })
  })
}
