/**
 * What a registry lists: one running instance of a service. The JSON text is the one that Kratos services write and read, so Go's
 * reading rules hold: keys in any case, `null` for anything empty, unknown keys ignored; and Go's writing: fixed key order, sorted
 * metadata, `<`, `>`, `&`, U+2028 and U+2029 escaped. Texts come from other processes, so their size is limited.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import { parseJson } from "../internal/parseJson.ts"

/** Longest JSON text that is decoded, in UTF-16 units. */
export const maxTextLength = 262_144
/** Most entries of metadata, and most endpoints. */
export const maxEntries = 1024

export interface ServiceInstance {
  /** Unique among the instances of `name`. */
  readonly id: string
  readonly name: string
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
  /** `scheme://host:port` each; see `Endpoint.parse`. */
  readonly endpoints: ReadonlyArray<string>
}

/** The instance as a value, with the limits of this module. */
export const ServiceInstance: Schema.Codec<ServiceInstance> = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  version: Schema.String,
  metadata: Schema.Record(Schema.String, Schema.String).check(Schema.isMaxProperties(maxEntries)),
  endpoints: Schema.Array(Schema.String).check(Schema.isMaxLength(maxEntries))
}).annotate({ identifier: "ServiceInstance" })

/** Creates an instance; what is left out is empty. */
export const make = (props: { readonly id: string; readonly name: string } & Partial<ServiceInstance>): ServiceInstance => ({
  id: props.id,
  name: props.name,
  version: props.version ?? "",
  metadata: props.metadata ?? {},
  endpoints: props.endpoints ?? []
})

/** The codec of the JSON text that registries store. */
export const Json: Schema.Codec<ServiceInstance, string> = Schema.String.pipe(
  Schema.decodeTo(ServiceInstance, {
    decode: SchemaGetter.transformEffect((text: string) => parse(text)),
    encode: SchemaGetter.transform((instance: ServiceInstance) => encode(instance))
  })
)

/** The JSON text of an instance, as Go writes it. Metadata without entries is `null`. */
export const encode = (self: ServiceInstance): string => {
  const keys = Object.keys(self.metadata).sort()
  const metadata = keys.length === 0 ? "null" : `{${keys.map((key) => `${quote(key)}:${quote(self.metadata[key]!)}`).join(",")}}`
  const endpoints = `[${self.endpoints.map(quote).join(",")}]`
  return `{"id":${quote(self.id)},"name":${quote(self.name)},"version":${quote(self.version)},"metadata":${metadata},"endpoints":${endpoints}}`
}

/** Reads the JSON text of an instance. Fails on broken JSON, on a value of the wrong type, and beyond the limits of this module. */
export const decode: (text: string) => Effect.Effect<ServiceInstance, Schema.SchemaError> = Schema.decodeUnknownEffect(Json)

/** True when both say the same; the order of endpoints does not count. */
export const equals = (self: ServiceInstance, that: ServiceInstance): boolean => {
  if (self === that) return true
  if (self.id !== that.id || self.name !== that.name || self.version !== that.version) return false
  const keys = Object.keys(self.metadata)
  if (keys.length !== Object.keys(that.metadata).length || self.endpoints.length !== that.endpoints.length) return false
  if (!keys.every((key) => self.metadata[key] === that.metadata[key])) return false
  const theirs = that.endpoints.toSorted()
  return self.endpoints.toSorted().every((endpoint, i) => endpoint === theirs[i])
}

/** True when both lists hold equal instances in the same order. */
export const equalLists = (self: ReadonlyArray<ServiceInstance>, that: ReadonlyArray<ServiceInstance>): boolean =>
  self.length === that.length && self.every((instance, i) => equals(instance, that[i]!))

/** Orders by id: lists read alike whatever order a registry stores them in. */
export const byId = (self: ServiceInstance, that: ServiceInstance): number => (self.id < that.id ? -1 : self.id > that.id ? 1 : 0)

/** `<name>-<id>`: its key on a consistent-hash ring, the same in every language. */
export const member = (self: ServiceInstance): string => `${self.name}-${self.id}`

const goEscapes: Readonly<Record<string, string>> = {
  "<": "\\u003c",
  ">": "\\u003e",
  "&": "\\u0026",
  "\u2028": "\\u2028",
  "\u2029": "\\u2029"
}

const quote = (text: string): string => JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => goEscapes[character]!)

const invalid = (message: string, text: string) =>
  new SchemaIssue.InvalidValue({ message }, text.length > 256 ? `${text.slice(0, 256)}…` : text)

const parse = (text: string): Effect.Effect<ServiceInstance, SchemaIssue.Issue> => {
  if (text.length > maxTextLength) return Effect.fail(invalid(`an instance has at most ${maxTextLength} characters`, text))
  try {
    const value = parseJson(text)
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return Effect.fail(invalid("an instance is a JSON object", text))
    // the schema after this getter checks the types of the fields
    return Effect.succeed(normalize(value) as ServiceInstance)
  } catch (error) {
    return Effect.fail(invalid(error instanceof Error ? error.message : "broken JSON", text))
  }
}

/** Known keys in any case, later ones over earlier ones; `null` stands for empty, everywhere. */
const normalize = (value: object): Record<keyof ServiceInstance, unknown> => {
  const fields: Record<keyof ServiceInstance, unknown> = { id: "", name: "", version: "", metadata: {}, endpoints: [] }
  for (const [key, field] of Object.entries(value)) {
    const known = key.toLowerCase()
    if (field !== null && Object.hasOwn(fields, known)) fields[known as keyof ServiceInstance] = withoutNulls(field)
  }
  return fields
}

const withoutNulls = (field: unknown): unknown => {
  if (Array.isArray(field)) return field.map((item: unknown) => item ?? "")
  if (typeof field !== "object" || field === null) return field
  // fromEntries defines own properties: a key `__proto__` stays a key
  return Object.fromEntries(Object.entries(field).map(([key, item]) => [key, item ?? ""]))
}
