/**
 * What the API server has of a resource, kept up to date: a list, then a watch from its version on, again and again as the server ends watches. A version
 * that is too old (410) is a new list. Lists in between may be missed by a slow reader, the last one never, and no reader holds up the watch.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Kubernetes, Resource } from "./Kubernetes.ts"

/** What is known, for a watch that goes on where the last one broke off. */
export interface Memory<A> {
  readonly items: Map<string, A>
  /** Undefined before the first list, and when it is too old. */
  version: string | undefined
}

export const memory = <A>(): Memory<A> => ({ items: new Map(), version: undefined })

/** A server that ends every watch at once, or finds every version too old, is not asked more often. */
const PAUSE_MILLIS = 1000

/**
 * All objects, in the order of their keys; first as they are, then after every change. Fails when the server cannot be reached or refuses; run again with the
 * same memory it goes on without a list where that is possible.
 */
export const follow = <S extends Schema.Codec<unknown, unknown>>(
  kubernetes: Kubernetes["Service"],
  resource: Resource<S>,
  known: Memory<S["Type"]> = memory()
) =>
  Stream.callback<void, Effect.Error<ReturnType<typeof kubernetes.list>>>(
    (queue) => {
      let told = false
      const tell = Effect.sync(() => {
        told = true
        Queue.offerUnsafe(queue, undefined)
      })
      const load = Effect.gen(function* () {
        const { items, version } = yield* kubernetes.list(resource)
        known.items.clear()
        for (const { key, value } of items) known.items.set(key, value)
        known.version = version
        yield* tell
      })
      const watch = (version: string) =>
        Stream.runForEach(kubernetes.watch(resource, version), (event) => {
          // what is remembered of an earlier run is the first list of this one
          if (event.type === "OPENED") return told ? Effect.void : tell
          if (event.version !== "") known.version = event.version
          if (event.type === "BOOKMARK") return Effect.void
          if (event.type === "SET") known.items.set(event.item.key, event.item.value)
          else known.items.delete(event.key)
          return tell
        })
      const loop = Effect.gen(function* () {
        for (;;) {
          const since = yield* Clock.currentTimeMillis
          if (known.version === undefined) yield* load
          else {
            const exit = yield* Effect.result(watch(known.version))
            if (exit._tag === "Failure") {
              // whatever the server has refused, its version may be why; a connection that broke says nothing of it
              if (exit.failure.status !== 0) known.version = undefined
              if (exit.failure.status !== 410) return yield* exit.failure
            }
            if ((yield* Clock.currentTimeMillis) - since < PAUSE_MILLIS) yield* Effect.sleep(PAUSE_MILLIS * (1 + (yield* Random.next)))
          }
        }
      })
      return Effect.catchCause(loop, (cause) => Queue.failCause(queue, cause))
    },
    { bufferSize: 1, strategy: "sliding" }
  ).pipe(Stream.map((): ReadonlyArray<S["Type"]> => [...known.items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)))
