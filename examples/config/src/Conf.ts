/** The program's config: the files of `configs` (another directory with `CONFIGS`), under them the environment for placeholders, as one protobuf message. */
import * as ConfigSource from "@effect-kratos/core/config/ConfigSource"
import * as ConfigStore from "@effect-kratos/core/config/ConfigStore"
import * as FileSource from "@effect-kratos/core/config/FileSource"
import * as ProtoConfig from "@effect-kratos/transport/ProtoConfig"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { BootstrapSchema, GreetingSchema, ServerSchema } from "./gen/conf/v1/conf_pb.ts"

export const server = ProtoConfig.slice(ServerSchema, { path: ["server"] })
export const greeting = ProtoConfig.slice(GreetingSchema, { path: ["greeting"] })

/** Only the variables that the files name: the rest of the environment is none of the program's business. */
const variables = ["PORT", "GREETING_TOKEN"]

export const layer = (directory: string) =>
  Layer.unwrap(
    Effect.map(FileSource.make(directory), (files) =>
      ConfigStore.layer({
        sources: [ConfigSource.fromEnv({ variables: Object.fromEntries(variables.map((name) => [name, process.env[name]])) }), files],
        schema: ProtoConfig.slice(BootstrapSchema)
      })
    )
  )
