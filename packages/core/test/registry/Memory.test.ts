import * as Memory from "@effect-kratos/core/registry/Memory"
import * as RegistryLaws from "./RegistryLaws.ts"

RegistryLaws.suite("memory", Memory.layer)
