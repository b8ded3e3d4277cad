/**
 * The registry on ZooKeeper: what it writes is what Kratos writes, and it reads what Kratos writes. `<root>/<name>/<id>` is an ephemeral node that holds the
 * instance as JSON, for as long as the session lives.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Following from "./internal/Following.ts"
import * as Paths from "./internal/Paths.ts"
import * as Registering from "./internal/Registering.ts"
import * as Zookeeper from "./Zookeeper.ts"
import { ZookeeperError } from "./ZookeeperError.ts"

export interface Options {
  /** The node above all services; it is created, and those above it, when it is missing. Default `/microservices`, as Kratos. */
  readonly rootPath?: string | undefined
  /** How long instances stay that the servers list no more after they were away; see `Watch`. Default 30 seconds. */
  readonly settle?: Duration.Input | undefined
}

/** On a `Zookeeper` that others may share. */
export const layerZookeeper = (options: Options = {}): Layer.Layer<Registrar | Discovery, never, Zookeeper.Zookeeper> =>
  Layer.effectContext(make(options))

export const layer = (options: Zookeeper.Options & Options): Layer.Layer<Registrar | Discovery> =>
  Layer.provide(layerZookeeper(options), Zookeeper.layer(options))

export const layerConfig = (config: Config.Wrap<Zookeeper.Options & Options>): Layer.Layer<Registrar | Discovery, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

/** What no second attempt changes. */
const isPermanent = (cause: unknown): boolean =>
  cause instanceof ZookeeperError &&
  ["NoAuth", "AuthFailed", "InvalidAcl", "NoChildrenForEphemerals", "BadArguments"].includes(cause.reason)

const fail = (method: string) => (cause: unknown) =>
  new RegistryError({ method, cause, ...(isPermanent(cause) ? { permanent: true } : undefined) })

/** The path of a name below a node. */
const below = (method: string, path: string, name: string): Effect.Effect<string, RegistryError> => {
  const problem = Paths.problem(name)
  return problem === undefined
    ? Effect.succeed(`${path}/${name}`)
    : Effect.fail(new RegistryError({ method, cause: new Error(problem), permanent: true }))
}

const make = Effect.fnUntraced(function* (options: Options) {
  const root = Paths.normalize(options.rootPath ?? "/microservices")
  const zookeeper = yield* Zookeeper.Zookeeper
  const registering = yield* Registering.make(zookeeper)

  return Context.make(Registrar, {
    register: Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
      const text = ServiceInstance.encode(instance)
      // what readers would refuse is refused here
      yield* Effect.mapError(ServiceInstance.decode(text), (cause) => new RegistryError({ method: "register", cause, permanent: true }))
      const path = yield* below("register", yield* below("register", root, instance.name), instance.id)
      yield* Effect.mapError(
        registering.register(`${ServiceInstance.member(instance)} in zookeeper`, path, Buffer.from(text, "utf8")),
        fail("register")
      )
    })
  }).pipe(
    Context.add(Discovery, {
      get: (name) =>
        Effect.flatMap(below("get", root, name), (path) => Effect.mapError(Following.read(zookeeper, path, name), fail("get"))),
      watch: (name) =>
        Stream.unwrap(
          Effect.map(below("watch", root, name), (path) =>
            Watch.keep({
              name: `${name} in zookeeper`,
              settle: options.settle,
              follow: Stream.mapError(Following.follow(zookeeper, path, name), fail("watch"))
            })
          )
        )
    })
  )
})
