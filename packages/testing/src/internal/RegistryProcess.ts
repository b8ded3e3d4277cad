/** A process on a registry, as the laws of registries use it. */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import type { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

export const instanceWith =
  (metadata: Readonly<Record<string, string>>) =>
  (id: string, name = "greeter", version = "1.0.0"): ServiceInstance.ServiceInstance =>
    ServiceInstance.make({ id, name, version, metadata, endpoints: [`http://127.0.0.1:8000`, "grpc://127.0.0.1:9000"] })

/** The ids. */
export const join = (list: Instances): string => list.map(({ id }) => id).join()

export interface Watcher {
  /** The first list. */
  readonly first: Effect.Effect<Instances, unknown>
  /** Waits for a list that fits. */
  readonly fits: (fits: (list: Instances) => boolean) => Effect.Effect<Instances, unknown>
  /** Waits for the list with these ids. */
  readonly until: (ids: string) => Effect.Effect<Instances, unknown>
  /** How many lists have come. */
  readonly told: () => number
}

export interface Process {
  /** Registers until it is deregistered, or the scope closes. */
  readonly register: (
    instance: ServiceInstance.ServiceInstance
  ) => Effect.Effect<{ readonly deregister: Effect.Effect<void> }, RegistryError, Scope.Scope>
  readonly keep: Registrar["Service"]["register"]
  readonly get: Discovery["Service"]["get"]
  readonly changes: Discovery["Service"]["watch"]
  readonly watch: (name: string) => Effect.Effect<Watcher, never, Scope.Scope>
  /** Waits until `get` has these ids. */
  readonly eventually: (name: string, ids: string) => Effect.Effect<void, unknown>
}

/** Waits for `effect` no longer than `patience` milliseconds, and says then what was seen. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, patience: number, seen: () => string): Effect.Effect<A, E, R> =>
  Effect.timeoutOrElse(effect, { duration: patience, orElse: () => Effect.die(new Error(`waited in vain: ${seen()}`)) })

export const process = Effect.fnUntraced(function* <E, R>(
  connect: Effect.Effect<Context.Context<Registrar | Discovery>, E, R>,
  patience: number
): Effect.fn.Return<Process, E, R> {
  const context = yield* connect
  const registrar = Context.get(context, Registrar)
  const discovery = Context.get(context, Discovery)

  const watch = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Watcher, never, Scope.Scope> {
    const lists = yield* Queue.unbounded<Instances, RegistryError>()
    let last: Instances | undefined
    let told = 0
    const push = (list: Instances) =>
      Effect.suspend(() => {
        told++
        // every list is a change, and ordered
        if (last !== undefined && ServiceInstance.equalLists(last, list))
          return Queue.failCause(lists, Cause.die(new Error(`told twice: ${join(list)}`)))
        if (list.some(({ id }, i) => i > 0 && list[i - 1]!.id >= id))
          return Queue.failCause(lists, Cause.die(new Error(`not by id: ${join(list)}`)))
        last = list
        return Queue.offer(lists, list)
      })
    yield* Stream.runForEach(discovery.watch(name), push).pipe(
      Effect.onError((cause) => Queue.failCause(lists, cause)),
      Effect.forkScoped({ startImmediately: true })
    )
    const seen = () => `the last list of ${name} was ${last === undefined ? "none" : JSON.stringify(join(last).slice(0, 500))}`
    const next = (fits: (list: Instances) => boolean): Effect.Effect<Instances, RegistryError> =>
      Effect.flatMap(Queue.take(lists), (list) => (fits(list) ? Effect.succeed(list) : next(fits)))
    const fits = (fits: (list: Instances) => boolean) => until(next(fits), patience, seen)
    return { first: fits(() => true), fits, until: (ids) => fits((list) => join(list) === ids), told: () => told }
  })

  return {
    register: Effect.fnUntraced(function* (instance) {
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
      yield* Scope.provide(registrar.register(instance), scope)
      return { deregister: Scope.close(scope, Exit.void) }
    }),
    keep: registrar.register,
    get: discovery.get,
    changes: discovery.watch,
    watch,
    eventually: (name, ids) => {
      let last = "nothing"
      const look = discovery.get(name).pipe(
        Effect.tap((list) => Effect.sync(() => (last = join(list)))),
        Effect.map((list) => join(list) === ids),
        // a registry that is on its way back
        Effect.catch((error) => Effect.sync(() => ((last = error.message), false)))
      )
      const loop: Effect.Effect<void> = Effect.flatMap(look, (found) =>
        found
          ? Effect.void
          : Effect.delay(
              Effect.suspend(() => loop),
              20
            )
      )
      return until(loop, patience, () => `${name} had ${last}`)
    }
  }
})
