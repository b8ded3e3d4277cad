/**
 * The registry that `REGISTRY` names: `etcd`, `consul` or `zookeeper` at `REGISTRY_ADDRESS`, default their usual port on this machine; or `directory`, the
 * default, which the processes of this machine share without a server, at the path `REGISTRY_ADDRESS`. The rest of the program does not know which it is.
 */
import * as ConsulRegistry from "@effect-kratos/contrib-consul/ConsulRegistry"
import * as EtcdRegistry from "@effect-kratos/contrib-etcd/EtcdRegistry"
import * as ZookeeperRegistry from "@effect-kratos/contrib-zookeeper/ZookeeperRegistry"
import * as Directory from "@effect-kratos/core/registry/Directory"
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import type { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** All that a program needs of a registry, by the name of its kind. */
const kinds = {
  directory: (path = join(tmpdir(), "effect-kratos-example-registry")) => Layer.provide(Directory.layer({ path }), NodeServices.layer),
  etcd: (address = "127.0.0.1:2379") => EtcdRegistry.layer({ endpoints: address.split(",") }),
  consul: (address = "127.0.0.1:8500") => ConsulRegistry.layer({ address }),
  zookeeper: (address = "127.0.0.1:2181") => ZookeeperRegistry.layer({ endpoints: address.split(",") })
}

export const RegistryLive: Layer.Layer<Registrar | Discovery, Config.ConfigError> = Layer.unwrap(
  Effect.gen(function* () {
    const kind = yield* Config.Literals(["directory", "etcd", "consul", "zookeeper"], "REGISTRY").pipe(Config.withDefault("directory"))
    const address = yield* Config.String("REGISTRY_ADDRESS").pipe(Config.withDefault(undefined))
    return kinds[kind](address)
  })
)
