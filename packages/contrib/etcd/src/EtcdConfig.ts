/** Config in etcd, as Kratos reads it: documents whose keys end with their format. */
import type { ConfigSource, KeyValue } from "@effect-kratos/core/config/ConfigSource"
import { formatOf } from "@effect-kratos/core/config/ConfigSource"
import { ConfigSourceError } from "@effect-kratos/core/config/ConfigSourceError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Entry, Etcd, reread } from "./Etcd.ts"

export interface Options {
  /** The key of a document such as `/config/app.yaml`; with `prefix` what the keys of several begin with. */
  readonly path: string
  /** Default false. */
  readonly prefix?: boolean | undefined
}

/** A source for `ConfigStore.layer`. Keys are those of etcd, whole. */
export const make = (options: Options): Effect.Effect<ConfigSource, never, Etcd> =>
  Effect.map(Etcd, (etcd) => {
    const { path, prefix = false } = options
    const range = { key: path, prefix }
    const name = `etcd ${path}${prefix ? "*" : ""}`
    const fail = (cause: unknown) => new ConfigSourceError({ source: name, key: "", cause })
    const decode = ({ key, value }: Entry): Effect.Effect<KeyValue, ConfigSourceError> =>
      Effect.try({
        try: () => ({ key, value: new TextDecoder("utf-8", { fatal: true }).decode(value), format: formatOf(key) }),
        catch: () => new ConfigSourceError({ source: name, key, cause: new Error("it is not UTF-8") })
      })
    const read = Effect.gen(function* () {
      const { entries, revision } = yield* Effect.mapError(etcd.get(range), fail)
      return { list: yield* Effect.forEach(entries, decode), revision }
    })
    return {
      name,
      load: Effect.map(read, ({ list }) => list),
      changes: Stream.unwrap(
        Effect.map(read, ({ list, revision }) =>
          reread(
            list,
            Stream.mapError(etcd.watch(range, revision + 1n), fail),
            Effect.map(read, ({ list }) => list)
          )
        )
      )
    }
  })
