/** Config whose schema is a protobuf message, as in Kratos' project layout: read as protobuf's JSON, unknown fields left aside. */
import { type DescMessage, fromJson, type JsonObject, type MessageShape, type Registry } from "@bufbuild/protobuf"
import type { ConfigTree } from "@effect-kratos/core/config/ConfigTree"
import * as Tree from "@effect-kratos/core/config/ConfigTree"
import type { Slice } from "@effect-kratos/core/config/Snapshot"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

export interface Options {
  /** Where the message is: keys from the root. Default: the whole config. */
  readonly path?: ReadonlyArray<string> | undefined
  /** For `google.protobuf.Any` and extensions. */
  readonly registry?: Registry | undefined
}

/** A part for `ConfigStore.get`, `ConfigStore.watch` and `ConfigStore.layer({ schema })`. A path that is not there is the empty message. */
export const slice = <Desc extends DescMessage>(schema: Desc, options: Options = {}): Slice<MessageShape<Desc>> => {
  const { path = [], registry } = options
  return {
    decode: ({ tree }) => {
      const value = Tree.get(tree, path) ?? Tree.empty
      if (!Tree.isTree(value)) return Effect.fail(error(schema, path, "is no record"))
      return Effect.try({
        try: () => fromJson(schema, json(value), { ignoreUnknownFields: true, ...(registry === undefined ? {} : { registry }) }),
        catch: (cause) => error(schema, path, cause instanceof Error ? cause.message : String(cause), cause)
      })
    }
  }
}

/** Both are JSON; only the lists of one are read-only. */
const json = (tree: ConfigTree): JsonObject => tree as JsonObject

const error = (schema: DescMessage, path: ReadonlyArray<string>, message: string, cause?: unknown): Config.ConfigError =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({
      message: `config${path.length === 0 ? "" : ` at ${path.join(".")}`} as ${schema.typeName}: ${message}`,
      cause
    })
  )
