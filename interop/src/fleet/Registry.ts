/** The registry that a member is told to use, by our own packages. */
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import type { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ConsulRegistry from "@effect-kratos/contrib-consul/ConsulRegistry"
import * as EtcdRegistry from "@effect-kratos/contrib-etcd/EtcdRegistry"
import * as ZookeeperRegistry from "@effect-kratos/contrib-zookeeper/ZookeeperRegistry"
import * as Layer from "effect/Layer"
import type { RegistryConfig } from "./FleetConfig.ts"

export const layer = ({ address, kind }: RegistryConfig): Layer.Layer<Registrar | Discovery> => {
  switch (kind) {
    case "etcd":
      return EtcdRegistry.layer({ endpoints: [address] })
    case "consul":
      return ConsulRegistry.layer({ address })
    case "zookeeper":
      return ZookeeperRegistry.layer({ endpoints: [address] })
  }
}
