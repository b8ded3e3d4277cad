/** The registry that a member is told to use, by our own packages. */
import type { Discovery } from "@effect-kratos/core/registry/Discovery"
import type { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as EtcdRegistry from "@effect-kratos/contrib-etcd/EtcdRegistry"
import * as Layer from "effect/Layer"
import type { RegistryConfig } from "./FleetConfig.ts"

export const layer = ({ address, kind }: RegistryConfig): Layer.Layer<Registrar | Discovery> => {
  switch (kind) {
    case "etcd":
      return EtcdRegistry.layer({ endpoints: [address] })
    case "consul":
      throw new Error("x")
    case "zookeeper":
      throw new Error("x")
  }
}
