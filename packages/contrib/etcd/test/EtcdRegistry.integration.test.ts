import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Program from "@effect-kratos/testing/Program"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fileURLToPath } from "node:url"
import * as Etcd from "../src/Etcd.ts"
import * as EtcdRegistry from "../src/EtcdRegistry.ts"
import { EtcdServer, layer, skip } from "./EtcdServer.ts"

const ttl = 6
const fixture = fileURLToPath(new URL("fixtures/register.ts", import.meta.url))
let places = 0

const place = Effect.gen(function* () {
  const { daemon, endpoint, port } = yield* EtcdServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const operator = Context.get(yield* Layer.build(Layer.fresh(Etcd.layer({ endpoints: [endpoint] }))), Etcd.Etcd)
  const namespace = `/laws/${places++}`
  return {
    connect: Layer.build(
      Layer.fresh(
        EtcdRegistry.layer({ endpoints: [`127.0.0.1:${proxy.address.port}`], namespace, ttl: Duration.seconds(ttl), timeout: "2 seconds" })
      )
    ),
    forget: ({ id, name }: ServiceInstance.ServiceInstance) => operator.remove({ key: `${namespace}/${name}/${id}` }),
    killed: (instance: ServiceInstance.ServiceInstance) =>
      Effect.gen(function* () {
        const program = yield* Program.node(fixture, [endpoint, namespace, String(ttl), ServiceInstance.encode(instance)], {
          ready: (line) => (line === "registered" ? true : undefined)
        })
        yield* program.kill
      }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: proxy.add(Fault.down)
  }
})

RegistryLaws.suite("etcd", place, layer, { skip, patience: "40 seconds" })

describe.skipIf(skip !== undefined)(`etcd registry${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("writes the key and the value that Kratos writes, and reads what Kratos writes", () =>
      Effect.gen(function* () {
        const { endpoint } = yield* EtcdServer
        const etcd = Context.get(yield* Layer.build(Etcd.layer({ endpoints: [endpoint] })), Etcd.Etcd)
        const registry = yield* Layer.build(EtcdRegistry.layer({ endpoints: [endpoint] }))
        const { register } = Context.get(registry, Registrar)
        const { get } = Context.get(registry, Discovery)
        yield* register(
          ServiceInstance.make({
            id: "7f3",
            name: "hello",
            version: "v1",
            metadata: { b: "<&>", a: "ü" },
            endpoints: ["http://127.0.0.1:8000", "grpc://127.0.0.1:9000"]
          })
        )
        const { entries } = yield* etcd.get({ key: "/microservices/", prefix: true })
        assert.deepStrictEqual(
          entries.map(({ key, value }) => [key, new TextDecoder().decode(value)]),
          [
            [
              "/microservices/hello/7f3",
              '{"id":"7f3","name":"hello","version":"v1","metadata":{"a":"ü","b":"\\u003c\\u0026\\u003e"},"endpoints":["http://127.0.0.1:8000","grpc://127.0.0.1:9000"]}'
            ]
          ]
        )
        const put = (key: string, text: string) => etcd.put(key, new TextEncoder().encode(text))
        yield* put("/microservices/go/1", '{"id":"1","name":"go","version":"","metadata":null,"endpoints":["grpc://10.0.0.1:9000"]}')
        yield* put("/microservices/go/2", "not an instance")
        yield* put("/microservices/go/3", '{"id":"3","name":"other","version":"","metadata":null,"endpoints":null}')
        assert.deepStrictEqual(yield* get("go"), [
          ServiceInstance.make({ id: "1", name: "go", version: "", endpoints: ["grpc://10.0.0.1:9000"] })
        ])
      }).pipe(Effect.scoped)
    )
  })
})
