/** How an instance is written as a service of Consul's agent, and read from Consul's health; exactly as Kratos does both. */
import * as Endpoint from "@effect-kratos/core/Endpoint"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export interface Options {
  /** Consul connects to each endpoint, and lists the instance when it can. Default true. */
  readonly healthCheck?: boolean | undefined
  /** Between those checks, and between heartbeats: whole seconds. Default 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** A TTL check of two intervals, renewed by this process. Default true. */
  readonly heartbeat?: boolean | undefined
  /** How long an instance may be critical before Consul removes it; a minute at least. Default 600 seconds. */
  readonly deregisterCriticalAfter?: Duration.Input | undefined
  /** Beside `version=…`. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** Checks of your own, in the agent's JSON; only with `healthCheck`. */
  readonly checks?: ReadonlyArray<Readonly<Record<string, unknown>>> | undefined
}

const seconds = (input: Duration.Input): number => Math.max(1, Math.ceil(Duration.toSeconds(Duration.fromInputUnsafe(input))))

export const intervalOf = ({ interval = "10 seconds" }: Options): Duration.Duration => Duration.seconds(seconds(interval))

/** The TTL check of an instance. */
export const checkId = (instance: ServiceInstance.ServiceInstance): string => `service:${instance.id}`

interface Address {
  readonly Address: string
  readonly Port: number
}

/** Consul's paths hold names and ids: what it would take for several steps of a path could be registered, but neither found nor taken away. */
const isStep = (text: string): boolean => text !== "" && text !== "." && text !== ".." && !text.includes("/")

/** The body for the agent. Fails when an endpoint is no `scheme://host:port`, and for names and ids that Consul's paths cannot hold. */
export const encode = (instance: ServiceInstance.ServiceInstance, options: Options): Effect.Effect<unknown, RegistryError> =>
  Effect.gen(function* () {
    const { checks = [], deregisterCriticalAfter = "600 seconds", healthCheck = true, heartbeat = true, tags = [] } = options
    for (const text of [instance.name, instance.id]) {
      if (!isStep(text))
        return yield* new RegistryError({
          method: "register",
          cause: new Error(`Consul cannot hold the name or id "${text}"`),
          permanent: true
        })
    }
    const interval = seconds(intervalOf(options))
    const after = `${seconds(deregisterCriticalAfter)}s`
    const addresses: Record<string, Address> = {}
    const tcp: Array<unknown> = []
    let first: Endpoint.Endpoint | undefined
    for (const text of instance.endpoints) {
      const endpoint = Option.getOrUndefined(Endpoint.parse(text))
      if (endpoint === undefined)
        return yield* new RegistryError({ method: "register", cause: new Error(`not an endpoint: ${text}`), permanent: true })
      first ??= endpoint
      addresses[endpoint.scheme] = { Address: text, Port: endpoint.port }
      const TCP = endpoint.host.includes(":") ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`
      tcp.push({ TCP, Interval: `${interval}s`, Timeout: "5s", DeregisterCriticalServiceAfter: after })
    }
    const all = [
      ...(healthCheck ? [...tcp, ...checks] : []),
      ...(heartbeat ? [{ CheckID: checkId(instance), TTL: `${interval * 2}s`, DeregisterCriticalServiceAfter: after }] : [])
    ]
    return {
      ID: instance.id,
      Name: instance.name,
      Tags: [`version=${instance.version}`, ...tags],
      ...(first === undefined ? {} : { Port: first.port, Address: first.host }),
      TaggedAddresses: addresses,
      Meta: instance.metadata,
      ...(all.length === 0 ? {} : { Checks: all })
    }
  })

const orEmpty = <S extends Schema.Codec<unknown, unknown>>(schema: S) => Schema.optional(Schema.NullOr(schema))

/** What `/v1/health/service/<name>` lists. */
export const Entries = Schema.Array(
  Schema.Struct({
    Service: Schema.Struct({
      ID: Schema.String,
      Service: Schema.String,
      Tags: orEmpty(Schema.Array(Schema.String)),
      Meta: orEmpty(Schema.Record(Schema.String, Schema.String)),
      TaggedAddresses: orEmpty(Schema.Record(Schema.String, Schema.Struct({ Address: Schema.String, Port: Schema.Int }))),
      Address: Schema.optional(Schema.String),
      Port: Schema.optional(Schema.Int)
    })
  })
)

/** Those that Consul adds by itself. */
const ofConsul = new Set(["lan_ipv4", "wan_ipv4", "lan_ipv6", "wan_ipv6"])

export const decode = (entries: typeof Entries.Type, datacenter: string | undefined): ReadonlyArray<ServiceInstance.ServiceInstance> =>
  entries.map(({ Service: { Address, ID, Meta, Port, Service, TaggedAddresses, Tags } }) => {
    const tagged = Object.entries(TaggedAddresses ?? {}).flatMap(([scheme, { Address }]) => (ofConsul.has(scheme) ? [] : [Address]))
    const plain = Address !== undefined && Address !== "" && Port !== undefined && Port !== 0 ? [`http://${Address}:${Port}`] : []
    const version = (Tags ?? []).findLast((tag) => tag.startsWith("version="))
    return ServiceInstance.make({
      id: ID,
      name: Service,
      version: version?.slice("version=".length) ?? "",
      metadata: { ...Meta, ...(datacenter === undefined ? {} : { dc: datacenter }) },
      endpoints: tagged.length > 0 ? tagged : plain
    })
  })
