import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as ConfigSourceLaws from "@effect-kratos/testing/ConfigSourceLaws"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Program from "@effect-kratos/testing/Program"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"
import * as ConsulConfig from "../src/ConsulConfig.ts"
import * as ConsulRegistry from "../src/ConsulRegistry.ts"
import * as Consul from "../src/Consul.ts"
import { ConsulServer, layer, make, operator, skip } from "./ConsulServer.ts"

// long enough for the heartbeats of a thousand
const interval = 6
const fixture = fileURLToPath(new URL("fixtures/register.ts", import.meta.url))
const id = ({ id }: ServiceInstance.ServiceInstance) => encodeURIComponent(id)

const Services = Schema.Record(Schema.String, Schema.Unknown)

const registry = Effect.gen(function* () {
  const { daemon, port } = yield* ConsulServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const consul = yield* operator
  // one agent serves all tests
  const { value = {} } = yield* consul.get("services", "/v1/agent/services", Services)
  for (const id of Object.keys(value)) yield* consul.put("deregister", `/v1/agent/service/deregister/${encodeURIComponent(id)}`)
  const options = { healthCheck: false, interval: Duration.seconds(interval) }
  return {
    connect: Layer.build(Layer.fresh(ConsulRegistry.layer({ address: `127.0.0.1:${proxy.address.port}`, ...options }))),
    forget: (instance: ServiceInstance.ServiceInstance) => consul.put("deregister", `/v1/agent/service/deregister/${id(instance)}`),
    killed: (instance: ServiceInstance.ServiceInstance) =>
      Effect.gen(function* () {
        const program = yield* Program.node(fixture, [`127.0.0.1:${port}`, String(interval), ServiceInstance.encode(instance)], {
          ready: (line) => (line === "registered" ? true : undefined)
        })
        yield* program.kill
      }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: proxy.add(Fault.down)
  }
})

RegistryLaws.suite("Consul", registry, layer, {
  skip,
  patience: "60 seconds",
  // Consul takes letters, digits, - and _ in the keys of metadata, and no slashes in names
  metadata: { zone: "a", odd_1: "<&>\u2028" },
  names: ["helloworld.v1.Greeter", "shop_cart-2", "two words", "bücher", "a%2Fb", ".hidden", "x".repeat(100)]
})

let places = 0

const config = Effect.gen(function* () {
  const { port } = yield* ConsulServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const consul = yield* operator
  const path = `config/${places++}`
  const at = (name: string) => `/v1/kv/${path}/${name}`
  return {
    source: yield* Effect.provide(
      ConsulConfig.make({ path }),
      yield* Layer.build(Layer.fresh(Consul.layer({ address: `http://127.0.0.1:${proxy.address.port}`, timeout: "2 seconds" })))
    ),
    write: (name: string, text: string) => consul.put("kv", at(name), text),
    remove: (name: string) => consul.remove("kv", at(name)),
    cut: proxy.add(Fault.down)
  }
})

ConfigSourceLaws.suite("Consul", config, layer, { skip })

describe.skipIf(skip !== undefined)(`Consul registry${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("writes the service and the checks that Kratos writes", () =>
      Effect.gen(function* () {
        const { port } = yield* ConsulServer
        const consul = yield* operator
        const { register } = Context.get(
          yield* Layer.build(ConsulRegistry.layer({ address: `127.0.0.1:${port}`, tags: ["blue"] })),
          Registrar
        )
        yield* register(
          ServiceInstance.make({
            id: "7f3",
            name: "hello",
            version: "v1",
            metadata: { zone: "a" },
            endpoints: ["http://127.0.0.1:8000", "grpc://127.0.0.1:9000"]
          })
        )
        const { value: service } = yield* consul.get("service", "/v1/agent/service/7f3", Schema.Unknown)
        const { ContentHash: _, Datacenter: __, ...told } = service as Record<string, unknown>
        assert.deepStrictEqual(told, {
          ID: "7f3",
          Service: "hello",
          Tags: ["version=v1", "blue"],
          Meta: { zone: "a" },
          Port: 8000,
          Address: "127.0.0.1",
          TaggedAddresses: {
            grpc: { Address: "grpc://127.0.0.1:9000", Port: 9000 },
            http: { Address: "http://127.0.0.1:8000", Port: 8000 },
            lan_ipv4: { Address: "127.0.0.1", Port: 8000 },
            wan_ipv4: { Address: "127.0.0.1", Port: 8000 }
          },
          Weights: { Passing: 1, Warning: 1 },
          EnableTagOverride: false
        })
        const { value: checks } = yield* consul.get("checks", "/v1/agent/checks", Schema.Record(Schema.String, Schema.Unknown))
        const shown = Object.values(checks ?? {}).map((check) => {
          const { CheckID, Definition, Output, Status, Type } = check as Record<string, unknown>
          return { CheckID, Definition, Output: Type === "ttl" ? Output : "", Status: Type === "ttl" ? Status : "", Type }
        })
        assert.deepInclude(shown, { CheckID: "service:7f3", Definition: {}, Output: "pass", Status: "passing", Type: "ttl" })
        assert.strictEqual(shown.filter(({ Type }) => Type === "tcp").length, 2)
      }).pipe(Effect.scoped)
    )
    it.effect("refuses names and ids that it could not take away again", () =>
      Effect.gen(function* () {
        const { port } = yield* ConsulServer
        const { register } = Context.get(yield* Layer.build(ConsulRegistry.layer({ address: `127.0.0.1:${port}` })), Registrar)
        for (const id of ["a/b", "..", ""]) {
          const error = yield* Effect.flip(register(ServiceInstance.make({ id, name: "a", version: "", endpoints: [] })))
          assert.isTrue(error.permanent)
          assert.include(error.message, `cannot hold the name or id "${id}"`)
        }
      }).pipe(Effect.scoped)
    )
    it.effect("reads what others have registered: no tagged addresses, several version tags", () =>
      Effect.gen(function* () {
        const { port } = yield* ConsulServer
        const consul = yield* operator
        yield* consul.put("register", "/v1/agent/service/register", {
          ID: "x1",
          Name: "other",
          Address: "10.0.0.1",
          Port: 80,
          Tags: ["a", "version=1", "version=2"]
        })
        const { get } = Context.get(yield* Layer.build(ConsulRegistry.layer({ address: `127.0.0.1:${port}` })), Discovery)
        assert.deepStrictEqual(yield* get("other"), [
          ServiceInstance.make({ id: "x1", name: "other", version: "2", endpoints: ["http://10.0.0.1:80"] })
        ])
        const multi = Context.get(
          yield* Layer.build(ConsulRegistry.layer({ address: `127.0.0.1:${port}`, datacenter: "multi" })),
          Discovery
        )
        assert.deepStrictEqual(
          (yield* multi.get("other")).map(({ metadata }) => metadata),
          [{ dc: "dc1" }]
        )
      }).pipe(Effect.scoped)
    )
  })
  it.live("tokens: without one it is refused, and the error does not show the one that was given", () =>
    Effect.gen(function* () {
      const { port } = yield* make(true)
      const address = `127.0.0.1:${port}`
      const instance = ServiceInstance.make({ id: "1", name: "a", version: "", endpoints: ["http://127.0.0.1:1"] })
      const register = (token: string) =>
        Effect.flatMap(Layer.build(ConsulRegistry.layer({ address, token: Redacted.make(token) })), (context) =>
          Context.get(context, Registrar).register(instance)
        )
      yield* register("hunter2")
      const error = yield* Effect.flip(register("hunter3"))
      assert.strictEqual(error._tag, "RegistryError")
      assert.notMatch(`${error.message} ${JSON.stringify(error)}`, /hunter/)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
