/** How an instance is written on a pod, and read from it; exactly as Kratos does both, but for what would be wrong in an address. */
import * as Endpoint from "@effect-kratos/core/Endpoint"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const labels = {
  id: "kratos-service-id",
  name: "kratos-service-app",
  version: "kratos-service-version"
} as const
export const annotations = {
  metadata: "kratos-service-metadata",
  protocols: "kratos-service-protocols"
} as const

const orEmpty = <S extends Schema.Codec<unknown, unknown>>(schema: S) => Schema.optional(Schema.NullOr(schema))
const Texts = orEmpty(Schema.Record(Schema.String, Schema.String))

/** What is read of a pod. */
export const Pod = Schema.Struct({
  metadata: Schema.Struct({
    name: Schema.String,
    namespace: Schema.optional(Schema.String),
    resourceVersion: Schema.optional(Schema.String),
    deletionTimestamp: orEmpty(Schema.String),
    labels: Texts,
    annotations: Texts
  }),
  spec: Schema.Struct({
    containers: orEmpty(
      Schema.Array(
        Schema.Struct({
          ports: orEmpty(
            Schema.Array(
              Schema.Struct({ containerPort: Schema.Int, name: Schema.optional(Schema.String), protocol: Schema.optional(Schema.String) })
            )
          )
        })
      )
    )
  }),
  status: Schema.optional(
    Schema.Struct({
      phase: Schema.optional(Schema.String),
      podIP: Schema.optional(Schema.String),
      conditions: orEmpty(Schema.Array(Schema.Struct({ type: Schema.String, status: Schema.String })))
    })
  )
})
export type Pod = typeof Pod.Type

/** The labels and annotations of a pod that Kratos has to do with. */
export interface Marks {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

const marks = (id: string, name: string, version: string, metadata: string, protocols: string): Marks => ({
  labels: { [labels.id]: id, [labels.name]: name, [labels.version]: version },
  annotations: { [annotations.metadata]: metadata, [annotations.protocols]: protocols }
})

/** Of a pod that is not registered any more. */
export const none: Marks = marks("", "", "", "{}", "{}")

/** What Kubernetes takes as the value of a label. */
export const isLabelValue = (text: string): boolean => /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/.test(text)

/** Fails for what no label can hold, and for endpoints that are no `scheme://host:port`. */
export const encode = (instance: ServiceInstance.ServiceInstance): Effect.Effect<Marks, RegistryError> =>
  Effect.gen(function* () {
    const refuse = (why: string) => new RegistryError({ method: "register", cause: new Error(why), permanent: true })
    for (const [what, text] of [
      ["name", instance.name],
      ["id", instance.id],
      ["version", instance.version]
    ] as const) {
      const needed = what !== "version" && text === ""
      if (needed || !isLabelValue(text)) return yield* refuse(`a pod's label cannot hold the ${what} "${text.slice(0, 100)}"`)
    }
    const protocols = new Map<string, string>()
    for (const text of instance.endpoints) {
      const endpoint = Endpoint.parse(text)
      if (Option.isNone(endpoint)) return yield* refuse(`not an endpoint: ${text.slice(0, 300)}`)
      protocols.set(String(endpoint.value.port), endpoint.value.scheme)
    }
    const metadata = Object.entries(instance.metadata)
    // Go writes `null` for the map that an app without metadata has
    return marks(instance.id, instance.name, instance.version, metadata.length === 0 ? "null" : json(metadata), json([...protocols]))
  })

/** True when the pod has all of them. */
export const has = (pod: Pod, { annotations, labels }: Marks): boolean =>
  Object.entries(labels).every(([key, value]) => pod.metadata.labels?.[key] === value) &&
  Object.entries(annotations).every(([key, value]) => pod.metadata.annotations?.[key] === value)

/** Ports that endpoints name and no container declares: readers learn the ports of a pod from its containers alone. */
export const undeclared = (pod: Pod, instance: ServiceInstance.ServiceInstance): ReadonlyArray<number> => {
  const declared = new Set((pod.spec.containers ?? []).flatMap(({ ports }) => (ports ?? []).map(({ containerPort }) => containerPort)))
  return instance.endpoints
    .flatMap((text) => Option.toArray(Endpoint.parse(text)))
    .flatMap(({ port }) => (declared.has(port) ? [] : [port]))
}

/** Whether callers are to be sent there. A pod that is being deleted is not; readiness counts when it is asked for. */
export const isCallable = (pod: Pod, needsReady: boolean): boolean => {
  const { conditions, phase, podIP = "" } = pod.status ?? {}
  if (phase !== "Running" || podIP === "") return false
  if ((pod.metadata.deletionTimestamp ?? "") !== "") return false
  return !needsReady || (conditions ?? []).some(({ status, type }) => type === "Ready" && status === "True")
}

/** Fails with what is wrong in the annotations. */
export const decode = (pod: Pod): Effect.Effect<ServiceInstance.ServiceInstance, Schema.SchemaError> =>
  Effect.gen(function* () {
    const [metadata, protocols] = [yield* record(pod, annotations.metadata), yield* record(pod, annotations.protocols)]
    const ip = pod.status?.podIP ?? ""
    const host = ip.includes(":") ? `[${ip}]` : ip
    const endpoints = (pod.spec.containers ?? []).flatMap(({ ports }) =>
      (ports ?? []).map(({ containerPort, name = "", protocol = "TCP" }) => {
        const said = protocols[String(containerPort)] ?? ""
        return `${said !== "" ? said : name !== "" ? name.split("-", 1)[0] : protocol}://${host}:${containerPort}`
      })
    )
    const at = (label: string) => pod.metadata.labels?.[label] ?? ""
    return ServiceInstance.make({ id: at(labels.id), name: at(labels.name), version: at(labels.version), metadata, endpoints })
  })

/**
 * By id. An id is one instance's: pods that share it, as those of a Deployment do whose template has the labels, are told apart by their names, and a pod
 * without an id has its name.
 */
export const distinct = (
  found: ReadonlyArray<readonly [Pod, ServiceInstance.ServiceInstance]>
): ReadonlyArray<ServiceInstance.ServiceInstance> => {
  const counts = new Map<string, number>()
  for (const [, { id }] of found) counts.set(id, (counts.get(id) ?? 0) + 1)
  return found
    .map(([{ metadata }, instance]) => {
      if (instance.id !== "" && counts.get(instance.id) === 1) return instance
      const name = `${metadata.namespace ?? ""}/${metadata.name}`
      return { ...instance, id: instance.id === "" ? name : `${instance.id}@${name}` }
    })
    .sort(ServiceInstance.byId)
}

/** What Kratos takes for an empty object. */
const empty = new Set(["", "{}", "null", "nil", "[]"])

const Entries = Schema.fromJsonString(
  Schema.Record(Schema.String, Schema.NullOr(Schema.String)).check(Schema.isMaxProperties(ServiceInstance.maxEntries))
)
const decodeEntries = Schema.decodeUnknownEffect(Entries)

const record = (pod: Pod, annotation: string): Effect.Effect<Readonly<Record<string, string>>, Schema.SchemaError> => {
  const text = pod.metadata.annotations?.[annotation] ?? ""
  if (empty.has(text)) return Effect.succeed({})
  return Effect.map(decodeEntries(text), (found) => Object.fromEntries(Object.entries(found).map(([key, value]) => [key, value ?? ""])))
}

/** Sorted, and escaped as Go does. Go's map of ports has no order of its own. */
const json = (entries: ReadonlyArray<readonly [string, string]>): string =>
  `{${[...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${quote(key)}:${quote(value)}`)
    .join(",")}}`

const quote = (text: string): string =>
  JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
