/**
 * What every registry has to do, as tests. Each law runs against a layer of its own and waits for events, never for time, so a registry
 * may be as slow as it is.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import type { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

export interface Options {
  /** Names that the registry must keep apart. */
  readonly names?: ReadonlyArray<string> | undefined
  /** How long a law may take, in milliseconds. */
  readonly timeout?: number | undefined
}

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

const oddNames = ["helloworld.v1.Greeter", "shop_cart-2", "two words", "bücher", "../up", "..", "a/b", "a%2Fb", ".hidden", "x".repeat(100)]

const instance = (id: string, name = "greeter", version = "1.0.0") =>
  ServiceInstance.make({
    id,
    name,
    version,
    metadata: { zone: "a", "<&>": "\u2028" },
    endpoints: [`http://127.0.0.1:8000`, "grpc://127.0.0.1:9000"]
  })

/** Registers in a scope of its own; closing the scope ends the registration. */
const register = Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
  const registrar = yield* Registrar
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  yield* Scope.provide(registrar.register(instance), scope)
  return { deregister: Scope.close(scope, Exit.void) }
})

/** A watcher: `until` waits for a list that fits, and returns it. */
const watcher = Effect.fnUntraced(function* (name: string) {
  const discovery = yield* Discovery
  const lists = yield* Queue.unbounded<Instances, RegistryError>()
  let last: Instances | undefined
  const push = (list: Instances) =>
    Effect.suspend(() => {
      // every list is a change
      if (last !== undefined && ServiceInstance.equalLists(last, list)) return Effect.die(new Error(`emitted twice: ${ids(list).join()}`))
      last = list
      return Queue.offer(lists, list)
    })
  yield* Stream.runForEach(discovery.watch(name), push).pipe(
    Effect.onError((cause) => Queue.failCause(lists, cause)),
    Effect.forkScoped
  )
  const until = (fits: (list: Instances) => boolean): Effect.Effect<Instances, RegistryError> =>
    Effect.flatMap(Queue.take(lists), (list) => (fits(list) ? Effect.succeed(list) : until(fits)))
  return { first: Queue.take(lists), until }
})

const ids = (list: Instances): ReadonlyArray<string> => list.map(({ id }) => id)
const has =
  (...expected: ReadonlyArray<string>) =>
  (list: Instances): boolean =>
    ids(list).join() === expected.join()

/** The laws for the registry that `layer` builds; each law builds it anew. */
export const suite = <E>(name: string, layer: Layer.Layer<Registrar | Discovery, E>, options: Options = {}) => {
  const { names = oddNames, timeout } = options

  const law = <A, E2>(text: string, effect: Effect.Effect<A, E2, Registrar | Discovery | Scope.Scope>) =>
    it.live(text, () => Effect.provide(Effect.scoped(effect), layer, { local: true }), timeout)

  describe(`registry ${name}`, () => {
    law(
      "lists what is registered, whole",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        yield* register(instance("1"))
        const [found] = yield* until(has("1"))
        assert.isTrue(ServiceInstance.equals(found!, instance("1")), JSON.stringify(found))
        assert.deepStrictEqual(ids(yield* (yield* Discovery).get("greeter")), ["1"])
      })
    )

    law(
      "forgets an instance when its scope closes, and says so with the empty list",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        const { deregister } = yield* register(instance("1"))
        yield* until(has("1"))
        yield* deregister
        yield* until(has())
        assert.deepStrictEqual(yield* (yield* Discovery).get("greeter"), [])
      })
    )

    law(
      "emits what is there first: the current list, or the empty one",
      Effect.gen(function* () {
        const early = yield* watcher("greeter")
        assert.deepStrictEqual(yield* early.first, [])
        yield* register(instance("1"))
        yield* early.until(has("1"))
        const late = yield* watcher("greeter")
        assert.deepStrictEqual(ids(yield* late.first), ["1"])
      })
    )

    law(
      "serves two watchers alike, and one that leaves does not disturb the other",
      Effect.gen(function* () {
        const stays = yield* watcher("greeter")
        const scope = yield* Scope.make()
        const leaves = yield* Scope.provide(watcher("greeter"), scope)
        const { deregister } = yield* register(instance("1"))
        yield* leaves.until(has("1"))
        yield* Scope.close(scope, Exit.void)
        yield* stays.until(has("1"))
        yield* deregister
        yield* stays.until(has())
      })
    )

    law(
      "lists two instances by id, and takes away the one that leaves",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        const { deregister } = yield* register(instance("2"))
        yield* register(instance("1"))
        yield* until(has("1", "2"))
        yield* deregister
        yield* until(has("1"))
      })
    )

    law(
      "replaces an instance that is registered again; closing the earlier scope does not take the later one away",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        const earlier = yield* register(instance("1", "greeter", "1.0.0"))
        yield* until(has("1"))
        const later = yield* register(instance("1", "greeter", "2.0.0"))
        const replaced = yield* until((list) => list[0]?.version === "2.0.0")
        assert.strictEqual(replaced.length, 1)
        yield* earlier.deregister
        assert.deepStrictEqual(ids(yield* (yield* Discovery).get("greeter")), ["1"])
        yield* later.deregister
        yield* until(has())
      })
    )

    law(
      "keeps an instance that is announced twice until the later scope closes",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        const same = instance("1")
        const earlier = yield* register(same)
        const later = yield* register(same)
        yield* until(has("1"))
        yield* earlier.deregister
        assert.deepStrictEqual(ids(yield* (yield* Discovery).get("greeter")), ["1"])
        yield* later.deregister
        yield* until(has())
      })
    )

    law(
      "keeps services apart",
      Effect.gen(function* () {
        const discovery = yield* Discovery
        const greeter = yield* watcher("greeter")
        yield* register(instance("1", "greeter2"))
        yield* register(instance("2", "greeter"))
        yield* greeter.until(has("2"))
        assert.deepStrictEqual(ids(yield* discovery.get("greeter2")), ["1"])
        assert.deepStrictEqual(yield* discovery.get("nobody"), [])
      })
    )

    law(
      "takes names and ids with odd characters",
      Effect.gen(function* () {
        const discovery = yield* Discovery
        for (const name of names) yield* register(instance(name, name))
        for (const name of names) {
          const { until } = yield* watcher(name)
          const [found] = yield* until(has(name))
          assert.strictEqual(found?.name, name)
          assert.strictEqual((yield* discovery.get(name)).length, 1)
        }
      })
    )

    law(
      "leaves nothing behind when registrations come and go at once",
      Effect.gen(function* () {
        const { until } = yield* watcher("greeter")
        const all = Array.from({ length: 20 }, (_, i) => instance(String(i)))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Effect.forEach(all, register, { concurrency: "unbounded" })
            yield* until((list) => list.length === all.length)
          })
        )
        yield* until(has())
      })
    )
  })
}
