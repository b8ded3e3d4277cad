import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import { RegistryError } from "@effect-kratos/core/registry/RegistryError"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EndpointSlices from "../src/EndpointSlices.ts"
import type * as Kubernetes from "../src/Kubernetes.ts"
import { Kubernetes as Tag } from "../src/Kubernetes.ts"
import { connect, KubernetesServer, layer, operator, skip, tokens } from "./KubernetesServer.ts"

const discoveryOf = (kubernetes: Kubernetes.Kubernetes["Service"], options: EndpointSlices.Options = {}) =>
  Effect.map(Layer.build(Layer.fresh(Layer.provide(EndpointSlices.layerKubernetes(options), Layer.succeed(Tag, kubernetes)))), (context) =>
    Context.get(context, Discovery)
  )

/** The API takes no address of this machine. */
const address = "10.9.0.1"

const slice = (service: string, name: string, endpoint: object) => ({
  metadata: { name, labels: { "kubernetes.io/service-name": service } },
  addressType: "IPv4",
  endpoints: [{ addresses: [address], ...endpoint }],
  ports: [
    { name: "http", port: 8000 },
    { name: "grpc", port: 9000 }
  ]
})

/** Registering is what Kubernetes' own controller does: a slice of a service for each instance. */
const place = Effect.gen(function* () {
  const { daemon, port } = yield* KubernetesServer
  const server = yield* Effect.context<KubernetesServer>()
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const { call, namespace, slices } = yield* operator
  /** Who has written a slice last. */
  const owners = new Map<string, object>()
  const names = new Map<string, string>()

  return {
    connect: Effect.gen(function* () {
      const kubernetes = yield* Effect.provideContext(connect({ port: proxy.address.port, namespace, timeout: "3 seconds" }), server)
      const { get, watch } = yield* discoveryOf(kubernetes)
      const register = (instance: ServiceInstance.ServiceInstance) => {
        const member = ServiceInstance.member(instance)
        const name = names.get(member) ?? `s${names.size}`
        names.set(member, name)
        const self = {}
        const body = slice(instance.name, name, {
          zone: instance.metadata["zone"],
          // slices know no versions; this is to see that a later one counts
          nodeName: instance.version,
          targetRef: { kind: "Pod", name: instance.id }
        })
        const write = (path: string, method: "POST" | "PUT") =>
          kubernetes.call({ operation: "write", method, path, body, schema: Schema.Unknown })
        return Effect.acquireRelease(
          write(slices, "POST").pipe(
            Effect.catchIf(
              ({ status }) => status === 409,
              () => write(`${slices}/${name}`, "PUT")
            ),
            Effect.mapError((cause) => new RegistryError({ method: "register", cause })),
            Effect.tap(() => Effect.sync(() => owners.set(member, self)))
          ),
          () => Effect.suspend(() => (owners.get(member) === self ? Effect.orDie(call("DELETE", `${slices}/${name}`)) : Effect.void))
        )
      }
      const whole = (list: ReadonlyArray<ServiceInstance.ServiceInstance>) =>
        list.map(({ endpoints, id, metadata: { node = "", ...metadata }, name }) =>
          ServiceInstance.make({
            id,
            name,
            metadata,
            version: node,
            endpoints: endpoints.map((endpoint) => endpoint.replace(address, "127.0.0.1"))
          })
        )
      return Context.make(Registrar, { register: (instance) => Effect.asVoid(register(instance)) }).pipe(
        Context.add(Discovery, {
          get: (name) => Effect.map(get(name), whole),
          watch: (name) => Stream.map(watch(name), whole)
        })
      )
    }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: proxy.add(Fault.down),
    secrets: tokens
  }
})

RegistryLaws.suite("Kubernetes EndpointSlices", place, layer, {
  skip,
  patience: "60 seconds",
  // the same list and watch as that of the pods, which bear 1,000
  many: 200,
  // what a slice can hold of it, and what services can be called
  metadata: { zone: "a" },
  names: ["greeter", "shop-cart-2", "x".repeat(63)]
})

describe.skipIf(skip !== undefined)(`Kubernetes EndpointSlices${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("lists what can be called, with zone and node; a terminating endpoint leaves at once", () =>
      Effect.gen(function* () {
        const { call, kubernetes, namespace, slices } = yield* operator
        const discovery = yield* discoveryOf(kubernetes)
        const pull = yield* Stream.toPull(discovery.watch("shop"))
        const next = Effect.timeout(pull, "30 seconds").pipe(
          Effect.map((lists) =>
            lists
              .at(-1)!
              .map(({ id }) => id)
              .join()
          )
        )
        assert.strictEqual(yield* next, "")

        const endpoint = { nodeName: "n1", zone: "z1", targetRef: { kind: "Pod", name: "shop-0" } }
        const conditions = (conditions: object) => slice("shop", "shop-x", { ...endpoint, conditions })
        yield* call("POST", slices, conditions({ ready: true, serving: true, terminating: false }))
        assert.strictEqual(yield* next, "shop-0")
        const found = [
          ServiceInstance.make({
            id: "shop-0",
            name: "shop",
            metadata: { zone: "z1", node: "n1" },
            endpoints: [`http://${address}:8000`, `grpc://${address}:9000`]
          })
        ]
        assert.deepStrictEqual(yield* discovery.get("shop"), found)
        // from another namespace
        const far = yield* discoveryOf(yield* connect({ namespace: "default" }))
        assert.deepStrictEqual((yield* far.get(`shop.${namespace}`))[0]?.endpoints, found[0]?.endpoints)
        assert.deepStrictEqual(yield* far.get("shop"), [])

        for (const gone of [
          { ready: false, serving: true, terminating: true },
          // as where a service publishes what is not ready
          { ready: true, serving: true, terminating: true },
          { ready: false, serving: false, terminating: false }
        ]) {
          yield* call("PUT", `${slices}/shop-x`, conditions(gone))
          assert.strictEqual(yield* next, "")
          yield* call("PUT", `${slices}/shop-x`, conditions({ ready: true, serving: true }))
          assert.strictEqual(yield* next, "shop-0")
        }
      }).pipe(Effect.scoped)
    )
  })
})
