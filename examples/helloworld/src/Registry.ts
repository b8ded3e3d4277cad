/** The registry of this example: a directory that all processes of the machine share. `REGISTRY_DIR` names another. */
import * as Directory from "@effect-kratos/core/registry/Directory"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const RegistryLive = Directory.layerConfig({
  path: Config.String("REGISTRY_DIR").pipe(Config.withDefault(join(tmpdir(), "effect-kratos-registry")))
}).pipe(Layer.provide(NodeServices.layer))
