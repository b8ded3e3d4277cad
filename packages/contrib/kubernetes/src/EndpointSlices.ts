/**
 * Discovery by Kubernetes' own services: the EndpointSlices of a service list its endpoints, whatever runs there. Nothing is registered; what is ready is what
 * readiness probes say. A target is `discovery:///service`, or `discovery:///service.namespace`.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Kubernetes from "./Kubernetes.ts"
import type { KubernetesError } from "./KubernetesError.ts"
import * as Reflector from "./Reflector.ts"

export interface Options {
  /** Where services are that are named without a namespace. Default: the program's own. */
  readonly namespace?: string | undefined
  /**
   * The schemes of ports, by the port's name in the service; unnamed ports have the empty name. Default: what `appProtocol` says, else the name up to its
   * first `-`; anything but `http`, `https`, `grpc` and `grpcs` is listed, and called by nobody.
   */
  readonly schemes?: Readonly<Record<string, string>> | undefined
}

/** On a `Kubernetes` that others may share. */
export const layerKubernetes = (options: Options = {}): Layer.Layer<Discovery, never, Kubernetes.Kubernetes> =>
  Layer.effect(Discovery, make(options))

export const layer = (options: Kubernetes.Options & Options = {}): Layer.Layer<Discovery, KubernetesError> =>
  Layer.provide(layerKubernetes(options), Kubernetes.layer(options))

export const layerConfig = (
  config: Config.Wrap<Kubernetes.Limits & Options>
): Layer.Layer<Discovery, Config.ConfigError | KubernetesError> => Layer.unwrap(Effect.map(Config.unwrap(config), layer))

const orEmpty = <S extends Schema.Codec<unknown, unknown>>(schema: S) => Schema.optional(Schema.NullOr(schema))

/** What is read of a slice. */
export const EndpointSlice = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String, namespace: Schema.optional(Schema.String) }),
  addressType: Schema.String,
  endpoints: orEmpty(
    Schema.Array(
      Schema.Struct({
        addresses: orEmpty(Schema.Array(Schema.String)),
        conditions: orEmpty(
          Schema.Struct({ ready: orEmpty(Schema.Boolean), serving: orEmpty(Schema.Boolean), terminating: orEmpty(Schema.Boolean) })
        ),
        hostname: orEmpty(Schema.String),
        nodeName: orEmpty(Schema.String),
        zone: orEmpty(Schema.String),
        targetRef: orEmpty(Schema.Struct({ kind: orEmpty(Schema.String), name: orEmpty(Schema.String), namespace: orEmpty(Schema.String) }))
      })
    )
  ),
  ports: orEmpty(
    Schema.Array(
      Schema.Struct({
        name: orEmpty(Schema.String),
        port: orEmpty(Schema.Int),
        protocol: orEmpty(Schema.String),
        appProtocol: orEmpty(Schema.String)
      })
    )
  )
})
export type EndpointSlice = typeof EndpointSlice.Type
type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number]
type Port = NonNullable<EndpointSlice["ports"]>[number]

/** Unknown is ready. A terminating endpoint is not, also where a service publishes addresses that are not ready. */
const isCallable = ({ conditions }: Endpoint): boolean =>
  conditions?.ready !== false && conditions?.serving !== false && conditions?.terminating !== true

/** Of Kubernetes' own protocols: HTTP/2 in clear text is what gRPC speaks there, and WebSockets begin as HTTP/1.1. */
const appProtocols: Readonly<Record<string, string>> = {
  "kubernetes.io/h2c": "grpc",
  "kubernetes.io/ws": "http",
  "kubernetes.io/wss": "https"
}

const schemeOf = ({ appProtocol, name, protocol }: Port, schemes: Options["schemes"]): string => {
  const said = schemes === undefined || !Object.hasOwn(schemes, name ?? "") ? undefined : schemes[name ?? ""]
  if (said !== undefined) return said
  if (appProtocol !== undefined && appProtocol !== null && appProtocol !== "") return appProtocols[appProtocol] ?? appProtocol.toLowerCase()
  const prefix = (name ?? "").split("-", 1)[0] ?? ""
  return prefix === "" ? (protocol ?? "TCP").toLowerCase() : prefix
}

/** IPv4 first, for pods that have both. */
const families = ["IPv4", "IPv6", "FQDN"]

/** The instances of one service by id, which is the pod's name, or the address where there is no pod. */
export const decode = (name: string, slices: ReadonlyArray<EndpointSlice>, schemes?: Options["schemes"]) => {
  const found = new Map<string, { readonly metadata: Record<string, string>; readonly endpoints: Set<string> }>()
  const sorted = [...slices].sort((a, b) => families.indexOf(a.addressType) - families.indexOf(b.addressType))
  for (const { addressType, endpoints, ports } of sorted) {
    for (const endpoint of endpoints ?? []) {
      // the others of an endpoint's addresses are, by the API's own words, for nobody
      const address = endpoint.addresses?.[0]
      if (address === undefined || !isCallable(endpoint)) continue
      const pod = endpoint.targetRef?.kind === "Pod" ? endpoint.targetRef.name : undefined
      const id = pod ?? address
      const instance = found.get(id) ?? { metadata: {}, endpoints: new Set() }
      found.set(id, instance)
      const { metadata } = instance
      if ((endpoint.zone ?? "") !== "") metadata["zone"] = endpoint.zone!
      if ((endpoint.nodeName ?? "") !== "") metadata["node"] = endpoint.nodeName!
      if ((endpoint.hostname ?? "") !== "") metadata["hostname"] = endpoint.hostname!
      const host = addressType === "IPv6" ? `[${address}]` : address
      for (const port of ports ?? []) {
        if (port.port !== undefined && port.port !== null) instance.endpoints.add(`${schemeOf(port, schemes)}://${host}:${port.port}`)
      }
    }
  }
  return [...found]
    .map(([id, { endpoints, metadata }]) => ServiceInstance.make({ id, name, metadata, endpoints: [...endpoints] }))
    .sort(ServiceInstance.byId)
}

/** The names of services and namespaces, RFC 1123. */
const isName = (text: string): boolean => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)

const make = Effect.fnUntraced(function* (options: Options) {
  const { schemes } = options
  const kubernetes = yield* Kubernetes.Kubernetes

  const resource = (method: string, name: string): Effect.Effect<Kubernetes.Resource<typeof EndpointSlice>, RegistryError> => {
    const dot = name.indexOf(".")
    const service = dot < 0 ? name : name.slice(0, dot)
    const namespace = dot < 0 ? (options.namespace ?? kubernetes.namespace) : name.slice(dot + 1)
    if (!isName(service) || !isName(namespace)) {
      const cause = new Error(`"${name.slice(0, 100)}" is neither a service nor service.namespace`)
      return Effect.fail(new RegistryError({ method, cause, permanent: true }))
    }
    return Effect.succeed({
      path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      schema: EndpointSlice,
      labelSelector: `kubernetes.io/service-name=${service}`
    })
  }
  const fail = (method: string) => (cause: KubernetesError) => new RegistryError({ method, cause })

  const get = Effect.fnUntraced(function* (name: string) {
    const { items } = yield* Effect.mapError(kubernetes.list(yield* resource("get", name)), fail("get"))
    const slices = items.map(({ value }) => value)
    return decode(name, slices, schemes)
  })
  const watch = (name: string) =>
    Stream.suspend(() => {
      const memory = Reflector.memory<EndpointSlice>()
      const follow = Effect.map(resource("watch", name), (resource) =>
        Reflector.follow(kubernetes, resource, memory).pipe(
          Stream.mapError(fail("watch")),
          Stream.map((slices) => decode(name, slices, schemes))
        )
      )
      // what a cluster lists no more after an outage is gone: it forgets nothing
      return Watch.keep({ name: `${name} in Kubernetes`, follow: Stream.unwrap(follow), settle: 0 })
    })
  return Discovery.of({ get, watch })
})
