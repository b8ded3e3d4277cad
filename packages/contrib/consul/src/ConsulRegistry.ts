/**
 * The registry on Consul: what it writes is what Kratos writes, and it reads what Kratos writes. An instance is a service of the agent, its endpoints are tagged
 * addresses by scheme, its version is a tag; a TTL check that is renewed says that it is alive, a TCP check of each endpoint that it can be reached.
 */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as Registration from "@effect-kratos/core/registry/Registration"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Watch from "@effect-kratos/core/registry/Watch"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AgentService from "./AgentService.ts"
import * as Consul from "./Consul.ts"

export interface Options extends AgentService.Options {
  /** Where services are looked up: the agent's data centre, all of them (each instance then has its own as `dc` in its metadata), or one by name. Default `single`. */
  readonly datacenter?: "single" | "multi" | (string & {}) | undefined
}

/** On a `Consul` that others may share, the config for example. */
export const layerConsul = (options: Options = {}): Layer.Layer<Registrar | Discovery, never, Consul.Consul> =>
  Layer.effectContext(make(options))

export const layer = (options: Consul.Options & Options): Layer.Layer<Registrar | Discovery> =>
  Layer.provide(layerConsul(options), Consul.layer(options))

export const layerConfig = (config: Config.Wrap<Consul.Options & Options>): Layer.Layer<Registrar | Discovery, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

type Instances = ReadonlyArray<ServiceInstance.ServiceInstance>

const make = Effect.fnUntraced(function* (options: Options) {
  const { datacenter = "single", heartbeat = true } = options
  const interval = AgentService.intervalOf(options)
  const consul = yield* Consul.Consul
  const fail = (method: string) => (cause: unknown) => new RegistryError({ method, cause })
  /** Who registered an id last in this process: the end of an earlier registration must not take a later one away. */
  const owners = new Map<string, object>()

  const register = Effect.fnUntraced(function* (instance: ServiceInstance.ServiceInstance) {
    // what readers would refuse is refused here
    yield* Effect.mapError(
      ServiceInstance.decode(ServiceInstance.encode(instance)),
      (cause) => new RegistryError({ method: "register", cause, permanent: true })
    )
    const body = yield* AgentService.encode(instance, options)
    const id = encodeURIComponent(instance.id)
    const self = {}
    let first = true
    const pass = consul.put("check/update", `/v1/agent/check/update/${encodeURIComponent(AgentService.checkId(instance))}`, {
      Status: "passing",
      Output: "pass"
    })
    const acquire = Effect.gen(function* () {
      if (!first && owners.get(instance.id) !== self) return
      yield* consul.put("service/register", "/v1/agent/service/register", body)
      if (heartbeat) yield* pass
      first = false
      owners.set(instance.id, self)
    })
    const mine = Effect.sync(() => owners.get(instance.id) === self)
    yield* Registration.keep({
      name: `${ServiceInstance.member(instance)} in Consul`,
      acquire,
      // the client has a limit of its own for each of its calls
      timeout: "30 seconds",
      // without a heartbeat nothing tells that the agent has lost it, but looking
      keep: () => Effect.forever(Effect.delay(Effect.when(heartbeat ? pass : lookUp(id), mine), interval)),
      release: () =>
        Effect.when(
          Effect.andThen(
            Effect.sync(() => owners.delete(instance.id)),
            Effect.catchIf(
              consul.put("service/deregister", `/v1/agent/service/deregister/${id}`),
              ({ message, status }) => status === 404 || /unknown service/i.test(message),
              () => Effect.void
            )
          ),
          mine
        )
    }).pipe(Effect.mapError(fail("register")))
  })

  const lookUp = (id: string) =>
    Effect.flatMap(consul.get("agent/service", `/v1/agent/service/${id}`, Schema.Unknown), ({ value }) =>
      value === undefined
        ? Effect.fail(new RegistryError({ method: "keep", cause: new Error("the agent has no such service") }))
        : Effect.void
    )

  /** One data centre; undefined is the agent's. */
  const query = (name: string, dc: string | undefined, method: string, index?: bigint) =>
    consul
      .get(`health of ${name}`, `/v1/health/service/${encodeURIComponent(name)}?passing=1`, AgentService.Entries, { datacenter: dc, index })
      .pipe(
        Effect.map(({ index, value }) => ({
          index,
          value: AgentService.decode(value ?? [], datacenter === "multi" ? dc : undefined)
        })),
        Effect.mapError(fail(method))
      )
  const datacenters = (method: string): Effect.Effect<ReadonlyArray<string | undefined>, RegistryError> => {
    if (datacenter === "single") return Effect.succeed([undefined])
    if (datacenter !== "multi") return Effect.succeed([datacenter])
    return consul.get("catalog/datacenters", "/v1/catalog/datacenters", Schema.Array(Schema.String)).pipe(
      Effect.map(({ value }) => value ?? []),
      Effect.mapError(fail(method))
    )
  }
  const sorted = (lists: Iterable<Instances>): Instances => [...lists].flat().sort(ServiceInstance.byId)

  const get = (name: string) =>
    Effect.flatMap(datacenters("get"), (all) =>
      Effect.map(
        Effect.forEach(all, (dc) => query(name, dc, "get"), { concurrency: "unbounded" }),
        (replies) => sorted(replies.map(({ value }) => value))
      )
    )

  /** The lists of one data centre by blocking queries. */
  const followOne = (name: string, dc: string | undefined): Stream.Stream<Instances, RegistryError> =>
    Consul.follow((index) => query(name, dc, "watch", index))
  const follow = (name: string): Stream.Stream<Instances, RegistryError> =>
    Stream.unwrap(
      Effect.map(datacenters("watch"), (all) => {
        const latest = new Map<string | undefined, Instances>()
        return Stream.mergeAll(
          all.map((dc) => Stream.tap(followOne(name, dc), (list) => Effect.sync(() => latest.set(dc, list)))),
          { concurrency: "unbounded" }
        ).pipe(
          Stream.filter(() => latest.size === all.length),
          Stream.map(() => sorted(latest.values()))
        )
      })
    )

  return Context.make(Registrar, { register }).pipe(
    Context.add(Discovery, { get, watch: (name) => Watch.keep({ name: `${name} in Consul`, follow: follow(name) }) })
  )
})
