/**
 * Where config comes from: a list of documents now, and the whole list again whenever it may have changed. What a list no longer has is gone from the config.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ConfigSourceError } from "./ConfigSourceError.ts"

/** One document of a source. */
export interface KeyValue {
  /** What names it within its source: a file name, a key of a store. Without a format it is the dotted path of the value. */
  readonly key: string
  readonly value: string
  /** How `value` is written: `yaml`, `json`, …; empty for one bare value. */
  readonly format: string
  /** Its values are shown to nobody. */
  readonly secret?: boolean | undefined
}

export interface ConfigSource {
  /** As errors, logs and `--print-config` call it. No secrets. */
  readonly name: string
  readonly load: Effect.Effect<ReadonlyArray<KeyValue>, ConfigSourceError>
  /**
   * The whole list first, then after every change; lists in between may be missed, the last one never. A stream that fails is run again after a while; one
   * that ends says that nothing will change any more.
   */
  readonly changes: Stream.Stream<ReadonlyArray<KeyValue>, ConfigSourceError>
}

/** The format that a name's ending says: text after its last dot; empty without one. */
export const formatOf = (name: string): string => {
  const base = name.slice(name.lastIndexOf("/") + 1)
  const dot = base.lastIndexOf(".")
  return dot < 0 ? "" : base.slice(dot + 1).toLowerCase()
}

/** Never changes. */
const constant = (name: string, load: ConfigSource["load"]): ConfigSource => ({ name, load, changes: Stream.fromEffect(load) })

/** Values that are written in the program: defaults, or overrides in tests. */
export const fromUnknown = (values: unknown, name = "static"): ConfigSource =>
  constant(
    name,
    Effect.try({
      try: () => [{ key: name, value: JSON.stringify(values), format: "json" }],
      catch: (cause) => new ConfigSourceError({ source: name, key: "", cause })
    })
  )

/** Documents that are written in the program. */
export const fromDocuments = (documents: ReadonlyArray<KeyValue>, name = "static"): ConfigSource =>
  constant(name, Effect.succeed(documents))

export interface EnvOptions {
  /** Only variables that start with one of these, which is taken off with an underscore that follows it. Default: all variables, as they are. */
  readonly prefixes?: ReadonlyArray<string> | undefined
  /** Makes a path of the rest of a name: with `"__"` the variable `SERVER__PORT` is `server.port`, in lower case. Default: one key, its case kept, as Kratos. */
  readonly separator?: string | undefined
  /** Default: the variables of the process as they are when the source is read. */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined
}

/** Environment variables, read once: the environment of a process does not change. */
export const fromEnv = (options: EnvOptions = {}): ConfigSource => {
  const { prefixes, separator } = options
  const keyOf = (name: string): string | undefined => {
    let rest = name
    if (prefixes !== undefined) {
      const prefix = prefixes.find((prefix) => name.startsWith(prefix))
      if (prefix === undefined || name === prefix) return undefined
      rest = name.slice(prefix.length)
      if (rest.startsWith("_")) rest = rest.slice(1)
      if (rest === "") return undefined
    }
    return separator === undefined ? rest : rest.split(separator).join(".").toLowerCase()
  }
  return constant(
    "environment",
    Effect.sync(() =>
      Object.entries(options.variables ?? environment()).flatMap(([name, value]): ReadonlyArray<KeyValue> => {
        const key = keyOf(name)
        return key === undefined || value === undefined ? [] : [{ key, value, format: "" }]
      })
    )
  )
}

/** Node, Deno and Bun have it in the same place; a browser has none. */
const environment = (): Readonly<Record<string, string | undefined>> => {
  const host: unknown = Reflect.get(globalThis, "process")
  const env: unknown = typeof host === "object" && host !== null ? Reflect.get(host, "env") : undefined
  if (typeof env !== "object" || env === null) return {}
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, typeof value === "string" ? value : undefined]))
}

/** An empty list where `source` cannot be read, with a line in the log; its changes are followed all the same. */
export const optional = (source: ConfigSource): ConfigSource => ({
  name: source.name,
  load: Effect.catch(source.load, (error) => Effect.as(Effect.logInfo(`${error.message}; it is optional`), [])),
  changes: source.changes
})

/** Marks what a source holds as secret. */
export const secret = (source: ConfigSource): ConfigSource => {
  const mark = (list: ReadonlyArray<KeyValue>): ReadonlyArray<KeyValue> => list.map((one) => ({ ...one, secret: true }))
  return { name: source.name, load: Effect.map(source.load, mark), changes: Stream.map(source.changes, mark) }
}
