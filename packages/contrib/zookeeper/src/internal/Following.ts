/** The instances below a node, once and on. What is known of a node is kept until the server says that it has changed: a change costs what has changed. */
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type * as Zookeeper from "../Zookeeper.ts"
import { ZookeeperError } from "../ZookeeperError.ts"

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>
type Client = Zookeeper.Zookeeper["Service"]

/** Reads that are under way at the same time. */
const concurrency = 64

/** Undefined for what is no instance of that name. Kratos fails a list with one node that cannot be read; here it is left out. */
const decode = (path: string, name: string, data: Uint8Array): Effect.Effect<ServiceInstance.ServiceInstance | undefined> =>
  ServiceInstance.decode(new TextDecoder().decode(data)).pipe(
    Effect.map((instance) => (instance.name === name ? instance : undefined)),
    Effect.catch((error) => Effect.as(Effect.logWarning(`zookeeper: ${path} is not an instance and is skipped`, error), undefined))
  )

/** A node that is there for others alone is left out, too; undefined as well for one that has gone since it was listed. */
const readable = (
  path: string,
  get: Effect.Effect<Zookeeper.Entry | undefined, ZookeeperError>
): Effect.Effect<Zookeeper.Entry | undefined, ZookeeperError> =>
  Effect.catchIf(
    get,
    ({ reason }) => reason === "NoAuth",
    (error) => Effect.as(Effect.logWarning(`zookeeper: ${path} is skipped`, error), undefined)
  )

const sorted = (list: Iterable<ServiceInstance.ServiceInstance | undefined>): Instances =>
  [...list].filter((instance) => instance !== undefined).sort(ServiceInstance.byId)

/** The instances of `name` below `path`, now; of a node that is not there, none. */
export const read = Effect.fnUntraced(function* (client: Client, path: string, name: string): Effect.fn.Return<Instances, ZookeeperError> {
  const ids = (yield* client.children(path)) ?? []
  const one = (id: string) =>
    Effect.flatMap(readable(`${path}/${id}`, client.get(`${path}/${id}`)), (entry) =>
      entry === undefined ? Effect.undefined : decode(`${path}/${id}`, name, entry.data)
    )
  return sorted(yield* Effect.forEach(ids, one, { concurrency }))
})

/** The whole list first, then after every change. Fails when the connection is lost. */
export const follow = (client: Client, path: string, name: string): Stream.Stream<Instances, ZookeeperError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const wake = yield* Queue.sliding<void>(1)
      /** What nodes hold, as of a read that is still watched; undefined: no instance. */
      const known = new Map<string, ServiceInstance.ServiceInstance | undefined>()
      /** Nodes that have not changed since they were asked for. */
      const fresh = new Set<string>()
      let lost = false
      const watcher = yield* client.watcher((changed) => {
        if (changed === undefined) lost = true
        else if (changed !== path) {
          const id = changed.slice(path.length + 1)
          known.delete(id)
          fresh.delete(id)
        }
        Queue.offerUnsafe(wake, undefined)
      })

      const list: Effect.Effect<Instances, ZookeeperError> = Effect.gen(function* () {
        if (lost)
          return yield* new ZookeeperError({ operation: `watch ${path}`, reason: "ConnectionLoss", detail: "the connection was lost" })
        const ids = yield* client.children(path, watcher)
        if (ids === undefined) {
          known.clear()
          // it may have come in the meantime
          return (yield* client.exists(path, watcher)) === undefined ? [] : yield* list
        }
        const there = new Set(ids)
        for (const id of known.keys()) if (!there.has(id)) known.delete(id)
        const found = new Map(known)
        const one = Effect.fnUntraced(function* (id: string) {
          fresh.add(id)
          const entry = yield* readable(`${path}/${id}`, client.get(`${path}/${id}`, watcher))
          if (entry === undefined) return
          const instance = yield* decode(`${path}/${id}`, name, entry.data)
          found.set(id, instance)
          if (fresh.delete(id)) known.set(id, instance)
        })
        const unknown = ids.filter((id) => !known.has(id))
        yield* Effect.forEach(unknown, one, { concurrency, discard: true })
        return sorted(found.values())
      })
      return Stream.concat(Stream.fromEffect(list), Stream.fromEffectRepeat(Effect.andThen(Queue.take(wake), list)))
    })
  )
