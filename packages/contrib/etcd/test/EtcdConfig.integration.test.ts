import * as ConfigSourceLaws from "@effect-kratos/testing/ConfigSourceLaws"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Fault from "@effect-kratos/testing/Fault"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Etcd from "../src/Etcd.ts"
import * as EtcdConfig from "../src/EtcdConfig.ts"
import { EtcdServer, layer, skip } from "./EtcdServer.ts"

let places = 0

const place = Effect.gen(function* () {
  const { endpoint, port } = yield* EtcdServer
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const direct = Context.get(yield* Layer.build(Layer.fresh(Etcd.layer({ endpoints: [endpoint] }))), Etcd.Etcd)
  const through = yield* Layer.build(Layer.fresh(Etcd.layer({ endpoints: [`127.0.0.1:${proxy.address.port}`] })))
  const path = `/config/${places++}/`
  return {
    source: yield* Effect.provide(EtcdConfig.make({ path, prefix: true }), through),
    write: (name: string, text: string) => direct.put(path + name, new TextEncoder().encode(text)),
    remove: (name: string) => direct.remove({ key: path + name }),
    keyOf: (name: string) => path + name,
    cut: proxy.add(Fault.down)
  }
})

ConfigSourceLaws.suite("etcd", place, layer, { skip })
