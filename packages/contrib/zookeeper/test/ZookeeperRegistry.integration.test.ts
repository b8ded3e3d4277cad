import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Program from "@effect-kratos/testing/Program"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"
import * as Zookeeper from "../src/Zookeeper.ts"
import * as ZookeeperRegistry from "../src/ZookeeperRegistry.ts"
import { layer, skip, ZookeeperServer } from "./ZookeeperServer.ts"

const sessionTimeout = 4000
const fixture = fileURLToPath(new URL("fixtures/register.ts", import.meta.url))
const password = "hunter2"
let places = 0

const place = Effect.gen(function* () {
  const { daemon, endpoint, port } = yield* ZookeeperServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const credentials = { username: "greeter", password: Redacted.make(password) }
  const operator = Context.get(
    yield* Layer.build(Layer.fresh(Zookeeper.layer({ endpoints: [endpoint], ...credentials }))),
    Zookeeper.Zookeeper
  )
  const rootPath = `/laws/of/${places++}`
  return {
    connect: Layer.build(
      Layer.fresh(
        ZookeeperRegistry.layer({
          endpoints: [`127.0.0.1:${proxy.address.port}`],
          rootPath,
          sessionTimeout,
          timeout: "2 seconds",
          ...credentials
        })
      )
    ),
    forget: ({ id, name }: ServiceInstance.ServiceInstance) => operator.remove(`${rootPath}/${name}/${id}`),
    killed: (instance: ServiceInstance.ServiceInstance) =>
      Effect.gen(function* () {
        const program = yield* Program.node(
          fixture,
          [endpoint, rootPath, String(sessionTimeout), password, ServiceInstance.encode(instance)],
          {
            ready: (line) => (line === "registered" ? true : undefined)
          }
        )
        yield* program.kill
      }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: proxy.add(Fault.down),
    secrets: [password]
  }
})

RegistryLaws.suite("zookeeper", place, layer, {
  skip,
  patience: "40 seconds",
  names: ["helloworld.v1.Greeter", "shop_cart-2", "two words", "bücher", "a%2Fb", ".hidden", "...", "zookeeper", "x".repeat(100)]
})

void [Discovery, Registrar]
