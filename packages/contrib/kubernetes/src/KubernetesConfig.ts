/** Config in ConfigMaps and Secrets, as Kratos reads it: each entry is a document `namespace/name/entry`, whose ending is its format. */
import type { ConfigSource, KeyValue } from "@effect-kratos/core/config/ConfigSource"
import { formatOf } from "@effect-kratos/core/config/ConfigSource"
import { ConfigSourceError } from "@effect-kratos/core/config/ConfigSourceError"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Kubernetes from "./Kubernetes.ts"
import * as Reflector from "./Reflector.ts"

export interface Options {
  readonly namespace: string
  /** `app=greeter`, as kubectl's `-l`. */
  readonly labelSelector?: string | undefined
  /** `metadata.name=greeter` for a single one. */
  readonly fieldSelector?: string | undefined
}

/** Without `binaryData`, as Kratos. */
const Entries = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String, namespace: Schema.optional(Schema.String) }),
  data: Schema.optional(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))
})

/** A source for `ConfigStore.layer`: the ConfigMaps of a namespace. */
export const make = (options: Options): Effect.Effect<ConfigSource, never, Kubernetes.Kubernetes> => source("configmaps", options)

/** The Secrets of a namespace; their values are shown to nobody. */
export const secrets = (options: Options): Effect.Effect<ConfigSource, never, Kubernetes.Kubernetes> => source("secrets", options)

const source = (kind: "configmaps" | "secrets", options: Options): Effect.Effect<ConfigSource, never, Kubernetes.Kubernetes> =>
  Effect.map(Kubernetes.Kubernetes, (kubernetes) => {
    const { fieldSelector, labelSelector, namespace } = options
    const chosen = [labelSelector, fieldSelector].filter((text) => text !== undefined).join(" ")
    const name = `kubernetes ${kind} in ${namespace}${chosen === "" ? "" : ` (${chosen})`}`
    const fail = (key: string) => (cause: unknown) => new ConfigSourceError({ source: name, key, cause })
    const resource = {
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/${kind}`,
      schema: Entries,
      labelSelector,
      fieldSelector
    }
    /** Secrets are Base64. What is wrong with one is said without it. */
    const value = (key: string, text: string): Effect.Effect<string, ConfigSourceError> => {
      if (kind === "configmaps") return Effect.succeed(text)
      const wrong = () => fail(key)(new Error("it is not UTF-8"))
      return Effect.flatMap(Effect.mapError(Effect.fromResult(Base64.decode(text)), wrong), (bytes) =>
        Effect.try({ try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes), catch: wrong })
      )
    }
    const documents = (all: ReadonlyArray<typeof Entries.Type>): Effect.Effect<ReadonlyArray<KeyValue>, ConfigSourceError> =>
      Effect.map(
        Effect.forEach(all, ({ data, metadata }) =>
          Effect.forEach(
            // the order of a Go map is none: the merge of two entries must not depend on it
            Object.entries(data ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
            ([entry, text]) => {
              const key = `${metadata.namespace ?? namespace}/${metadata.name}/${entry}`
              return Effect.map(value(key, text), (value): KeyValue => ({
                key,
                value,
                format: formatOf(key),
                ...(kind === "secrets" ? { secret: true } : {})
              }))
            }
          )
        ),
        (lists) => lists.flat()
      )
    return {
      name,
      load: kubernetes.list(resource).pipe(
        Effect.mapError(fail("")),
        Effect.flatMap(({ items }) => documents(items.map(({ value }) => value)))
      ),
      changes: Stream.suspend(() => Reflector.follow(kubernetes, resource)).pipe(Stream.mapError(fail("")), Stream.mapEffect(documents))
    }
  })
