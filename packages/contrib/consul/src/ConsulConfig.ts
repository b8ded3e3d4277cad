/** Config in Consul's key-value store, as Kratos reads it: documents below a path, whose keys end with their format. */
import type { ConfigSource, KeyValue } from "@effect-kratos/core/config/ConfigSource"
import { formatOf } from "@effect-kratos/core/config/ConfigSource"
import { ConfigSourceError } from "@effect-kratos/core/config/ConfigSourceError"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Consul from "./Consul.ts"

export interface Options {
  /** What the keys begin with, such as `config/greeter`; it is not part of the documents' names. */
  readonly path: string
  readonly datacenter?: string | undefined
}

const Pairs = Schema.Array(Schema.Struct({ Key: Schema.String, Value: Schema.NullOr(Schema.String) }))

/** A source for `ConfigStore.layer`. */
export const make = (options: Options): Effect.Effect<ConfigSource, never, Consul.Consul> =>
  Effect.map(Consul.Consul, (consul) => {
    const { datacenter } = options
    const path = options.path.replace(/^\/+|\/+$/g, "")
    const name = `consul ${path}`
    const fail = (key: string) => (cause: unknown) => new ConfigSourceError({ source: name, key, cause })
    const decode = ({ Key, Value }: (typeof Pairs.Type)[number]): Effect.Effect<Option.Option<KeyValue>, ConfigSourceError> => {
      const key = Key.slice(path.length).replace(/^\//, "")
      // a folder, as Consul's own console makes them
      if (key === "" || key.endsWith("/")) return Effect.succeedNone
      return Effect.gen(function* () {
        const bytes = yield* Effect.mapError(Effect.fromResult(Base64.decode(Value ?? "")), fail(key))
        const value = yield* Effect.try({
          try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
          catch: () => fail(key)(new Error("it is not UTF-8"))
        })
        return Option.some({ key, value, format: formatOf(key) })
      })
    }
    const read = (index?: bigint) =>
      Effect.gen(function* () {
        const url = `/v1/kv/${path.split("/").map(encodeURIComponent).join("/")}/?recurse=true`
        const reply = yield* Effect.mapError(consul.get(`values below ${path}`, url, Pairs, { datacenter, index }), fail(""))
        return { value: (yield* Effect.forEach(reply.value ?? [], decode)).flatMap(Option.toArray), index: reply.index }
      })
    return {
      name,
      load: Effect.map(read(), ({ value }) => value),
      changes: Consul.follow(read)
    }
  })
