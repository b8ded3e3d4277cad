/**
 * The registry on etcd: what it writes is what Kratos writes, and it reads what Kratos writes. `<namespace>/<name>/<id>` holds the instance as JSON, under a
 * lease that is renewed at a third of its time.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Etcd from "./Etcd.ts"

export interface Options {
  /** What all keys begin with. Default `/microservices`, as Kratos. */
  readonly namespace?: string | undefined
  /** When an instance is forgotten that nobody renews: whole seconds. Default 15 seconds, as Kratos. */
  readonly ttl?: Duration.Input | undefined
}

/** On an `Etcd` that others may share, the config for example. */
export const layerEtcd = (options: Options = {}): Layer.Layer<Registrar | Discovery, never, Etcd.Etcd> => Layer.effectContext(make(options))

export const layer = (options: Etcd.Options & Options): Layer.Layer<Registrar | Discovery> =>
  Layer.provide(layerEtcd(options), Etcd.layer(options))

export const layerConfig = (config: Config.Wrap<Etcd.Options & Options>): Layer.Layer<Registrar | Discovery, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

const make = Effect.fnUntraced(function* (options: Options) {
  const { namespace = "/microservices", ttl = "15 seconds" } = options
  const etcd = yield* Etcd.Etcd
  const seconds = Math.max(1, Math.ceil(Duration.toSeconds(Duration.fromInputUnsafe(ttl))))
  const interval = Duration.seconds(seconds / 3)
  const fail = (method: string) => (cause: unknown) => new RegistryError({ method, cause })

  const register = Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
    const text = ServiceInstance.encode(instance)
    // what readers would refuse is refused here
    yield* Effect.mapError(ServiceInstance.decode(text), (cause) => new RegistryError({ method: "register", cause, permanent: true }))
    const key = `${namespace}/${instance.name}/${instance.id}`
    const value = new TextEncoder().encode(text)
    yield* Registration.keep({
      name: `${ServiceInstance.member(instance)} in etcd`,
      acquire: Effect.tap(etcd.grant(seconds), (lease) => etcd.put(key, value, lease)),
      // a key that somebody has deleted is put again; one that another registration has taken over is left to it
      keep: (lease: bigint) =>
        etcd.keepAlive(
          lease,
          interval,
          Effect.flatMap(etcd.has(key), (there) => (there ? Effect.void : Effect.asVoid(etcd.putIfAbsent(key, value, lease))))
        ),
      release: (lease: bigint) => etcd.revoke(lease)
    }).pipe(Effect.mapError(fail("register")))
  })

  /** Kratos fails a list with one value that cannot be read; here it is left out. */
  const decode = ({ key, value }: Etcd.Entry): Effect.Effect<Option.Option<ServiceInstance.ServiceInstance>> =>
    ServiceInstance.decode(new TextDecoder().decode(value)).pipe(
      Effect.asSome,
      Effect.catch((error) => Effect.as(Effect.logWarning(`etcd: ${key} is not an instance and is skipped`, error), Option.none()))
    )
  const range = (name: string): Etcd.Range => ({ key: `${namespace}/${name}/`, prefix: true })
  const read = (name: string, method: string) =>
    Effect.gen(function* () {
      const { entries, revision } = yield* etcd.get(range(name))
      const found = (yield* Effect.forEach(entries, decode)).flatMap(Option.toArray)
      const instances: Instances = found.filter((instance) => instance.name === name).sort(ServiceInstance.byId)
      return { instances, revision }
    }).pipe(Effect.mapError(fail(method)))

  const follow = (name: string): Stream.Stream<Instances, RegistryError> =>
    Stream.unwrap(
      Effect.map(read(name, "watch"), ({ instances, revision }) =>
        Etcd.reread(
          instances,
          Stream.mapError(etcd.watch(range(name), revision + 1n), fail("watch")),
          Effect.map(read(name, "watch"), ({ instances }) => instances)
        )
      )
    )

  return Context.make(Registrar, { register }).pipe(
    Context.add(Discovery, {
      get: (name) => Effect.map(read(name, "get"), ({ instances }) => instances),
      watch: (name) => Watch.keep({ name: `${name} in etcd`, follow: follow(name) })
    })
  )
})
