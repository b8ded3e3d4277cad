/**
 * A registry inside one process, for tests and for services that find each other in the same program. Each build of `layer` is a
 * registry of its own.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Discovery } from "./Discovery.ts"
import { Registrar } from "./Registrar.ts"
import * as ServiceInstance from "./ServiceInstance.ts"

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

/** One service: its instances, and how many registrations and watchers need it to stay. */
interface Service {
  readonly instances: SubscriptionRef.SubscriptionRef<Instances>
  users: number
}

const make = Effect.sync(() => {
  const services = new Map<string, Service>()

  const acquire = (name: string): Effect.Effect<Service> =>
    Effect.gen(function* () {
      const instances = yield* SubscriptionRef.make<Instances>([])
      const service = services.get(name) ?? { instances, users: 0 }
      services.set(name, service)
      service.users++
      return service
    })
  const release = (name: string, service: Service): Effect.Effect<void> =>
    Effect.sync(() => {
      if (--service.users === 0) services.delete(name)
    })
  const use = (name: string) => Effect.acquireRelease(acquire(name), (service) => release(name, service))

  return Context.make(Registrar, {
    register: (instance) =>
      Effect.flatMap(use(instance.name), ({ instances }) => {
        // a copy of its own, so that only this registration takes it away
        const mine = { ...instance }
        return Effect.acquireRelease(
          SubscriptionRef.update(instances, (all) => [...all.filter(({ id }) => id !== mine.id), mine].sort(ServiceInstance.byId)),
          () => SubscriptionRef.update(instances, (all) => all.filter((one) => one !== mine))
        )
      })
  }).pipe(
    Context.add(Discovery, {
      get: (name) =>
        Effect.suspend(() => {
          const service = services.get(name)
          return service === undefined ? Effect.succeed([]) : SubscriptionRef.get(service.instances)
        }),
      watch: (name) =>
        Stream.unwrap(Effect.map(use(name), ({ instances }) => SubscriptionRef.changes(instances))).pipe(
          Stream.buffer({ capacity: 1, strategy: "sliding" }),
          Stream.changesWith(ServiceInstance.equalLists)
        )
    })
  )
})

export const layer: Layer.Layer<Registrar | Discovery> = Layer.effectContext(make)
