import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as Program from "@effect-kratos/testing/Program"
import * as RegistryLaws from "@effect-kratos/testing/RegistryLaws"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import type * as Kubernetes from "../src/Kubernetes.ts"
import { Kubernetes as Tag } from "../src/Kubernetes.ts"
import * as KubernetesRegistry from "../src/KubernetesRegistry.ts"
import * as PodInstance from "../src/PodInstance.ts"
import { connect, KubernetesServer, layer, operator, skip, tokens } from "./KubernetesServer.ts"

const fixture = fileURLToPath(new URL("fixtures/register.ts", import.meta.url))

const registryOf = (kubernetes: Kubernetes.Kubernetes["Service"], options: KubernetesRegistry.Options) =>
  Layer.build(Layer.fresh(Layer.provide(KubernetesRegistry.layerKubernetes(options), Layer.succeed(Tag, kubernetes))))

const place = Effect.gen(function* () {
  const { daemon, folder, port } = yield* KubernetesServer
  const server = yield* Effect.context<KubernetesServer>()
  const fs = yield* FileSystem.FileSystem
  const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
  const kubelet = yield* operator
  const { namespace } = kubelet
  let cut = false

  /** An instance is a pod: each has one, made when it is registered first. */
  const pods = new Map<string, string>()
  const podOf = (instance: ServiceInstance.ServiceInstance) =>
    Effect.gen(function* () {
      const found = pods.get(ServiceInstance.member(instance))
      if (found !== undefined) return found
      const name = `p${pods.size}`
      pods.set(ServiceInstance.member(instance), name)
      yield* kubelet.runPod(name)
      return name
    }).pipe(Effect.uninterruptible, Effect.orDie)

  return {
    connect: Effect.gen(function* () {
      const kubernetes = yield* Effect.provideContext(connect({ port: proxy.address.port, namespace, timeout: "3 seconds" }), server)
      const { get, watch } = Context.get(yield* registryOf(kubernetes, {}), Discovery)
      const registrars = new Map<string, Registrar["Service"]>()
      const register = (instance: ServiceInstance.ServiceInstance) =>
        Effect.gen(function* () {
          const pod = yield* podOf(instance)
          const registrar = registrars.get(pod) ?? Context.get(yield* registryOf(kubernetes, { pod }), Registrar)
          registrars.set(pod, registrar)
          // a pod has no time to live; that a process has ended without a word, its kubelet says
          yield* Effect.addFinalizer(() => (cut ? Effect.orDie(kubelet.setStatus(pod, { phase: "Succeeded" })) : Effect.void))
          yield* registrar.register(instance)
        })
      return Context.make(Registrar, { register }).pipe(Context.add(Discovery, { get, watch }))
    }),
    forget: (instance: ServiceInstance.ServiceInstance) =>
      Effect.flatMap(podOf(instance), (pod) => kubelet.mark(pod, { labels: { [PodInstance.labels.name]: null } })),
    killed: (instance: ServiceInstance.ServiceInstance) =>
      Effect.gen(function* () {
        const pod = yield* podOf(instance)
        const config = `${folder}/${namespace}.yaml`
        yield* fs.writeFileString(config, kubeconfig(port, namespace))
        const program = yield* Program.node(fixture, [pod, ServiceInstance.encode(instance)], {
          environment: { KUBECONFIG: config },
          ready: (line) => (line === "registered" ? true : undefined)
        })
        yield* program.kill
        yield* kubelet.setStatus(pod, { phase: "Failed" })
      }),
    restart: Effect.andThen(daemon.kill, daemon.start),
    cut: Effect.andThen(
      proxy.add(Fault.down),
      Effect.acquireRelease(
        Effect.sync(() => (cut = true)),
        () => Effect.sync(() => (cut = false))
      )
    ),
    secrets: tokens
  }
})

const kubeconfig = (port: number, namespace: string): string => `apiVersion: v1
kind: Config
current-context: test
clusters:
  - name: test
    cluster: { server: "https://127.0.0.1:${port}", certificate-authority: ca.pem }
contexts:
  - name: test
    context: { cluster: test, user: test, namespace: ${namespace} }
users:
  - name: test
    user: { client-certificate: client.pem, client-key: client.key }
`

RegistryLaws.suite("Kubernetes pods", place, layer, {
  skip,
  patience: "60 seconds",

  // what the value of a label can be
  names: ["helloworld.v1.Greeter", "shop_cart-2", "0", "x".repeat(63)]
})

describe.skipIf(skip !== undefined)(`Kubernetes registry${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    const instance = ServiceInstance.make({
      id: "7f3",
      name: "hello",
      version: "v1",
      metadata: { zone: "a", "<&>": "\u2028" },
      endpoints: ["http://10.1.0.1:8000", "grpc://10.1.0.1:9000"]
    })
    const marked = Effect.fnUntraced(function* (kubernetes: Kubernetes.Kubernetes["Service"], path: string) {
      const { metadata } = yield* kubernetes.call({ operation: "get", method: "GET", path, schema: PodInstance.Pod })
      const ours = (all: Readonly<Record<string, string>> | null | undefined) =>
        Object.fromEntries(Object.entries(all ?? {}).filter(([key]) => key !== "app"))
      return { labels: ours(metadata.labels), annotations: ours(metadata.annotations) }
    })

    it.effect("writes the labels and annotations that Kratos writes, and takes them away as Kratos does", () =>
      Effect.gen(function* () {
        const { core, kubernetes, runPod } = yield* operator
        yield* runPod("hello-0", { metadata: { labels: { app: "hello" } }, ip: "10.1.0.1" })
        const registry = yield* registryOf(kubernetes, { pod: "hello-0" })
        const { get } = Context.get(registry, Discovery)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Context.get(registry, Registrar).register(instance)
            assert.deepStrictEqual(yield* marked(kubernetes, `${core}/pods/hello-0`), {
              labels: { "kratos-service-id": "7f3", "kratos-service-app": "hello", "kratos-service-version": "v1" },
              annotations: {
                "kratos-service-metadata": '{"\\u003c\\u0026\\u003e":"\\u2028","zone":"a"}',
                "kratos-service-protocols": '{"8000":"http","9000":"grpc"}'
              }
            })
            assert.deepStrictEqual(yield* get("hello"), [instance])
          })
        )
        assert.deepStrictEqual(yield* marked(kubernetes, `${core}/pods/hello-0`), {
          labels: { "kratos-service-id": "", "kratos-service-app": "", "kratos-service-version": "" },
          annotations: { "kratos-service-metadata": "{}", "kratos-service-protocols": "{}" }
        })
        assert.deepStrictEqual(yield* get("hello"), [])
      }).pipe(Effect.scoped)
    )

    it.effect("pods leave the list when they end, when they are deleted, and, where it is asked for, when they are not ready", () =>
      Effect.gen(function* () {
        const { call, core, kubernetes, mark, runPod, setStatus } = yield* operator
        const label = (name: string) => ({ labels: { "kratos-service-app": "hello", "kratos-service-id": name } })
        for (const name of ["a", "b", "c"]) yield* runPod(name, { metadata: label(name), spec: { nodeName: "n1" } })
        const all = Context.get(yield* registryOf(kubernetes, {}), Discovery)
        const ready = Context.get(yield* registryOf(kubernetes, { ready: true }), Discovery)
        const told = yield* Stream.toPull(all.watch("hello"))
        const until = (ids: string) =>
          Stream.fromPull(Effect.succeed(told)).pipe(
            Stream.filter((list) => list.map(({ id }) => id).join() === ids),
            Stream.runHead,
            Effect.timeout("30 seconds")
          )
        const ids = (discovery: Discovery["Service"]) => Effect.map(discovery.get("hello"), (list) => list.map(({ id }) => id).join())
        yield* until("a,b,c")

        yield* setStatus("a", { conditions: [{ type: "Ready", status: "False" }] })
        assert.strictEqual(yield* ids(ready), "b,c")
        assert.strictEqual(yield* ids(all), "a,b,c")
        yield* setStatus("b", { phase: "Failed" })
        yield* until("a,c")
        // it is still there, for as long as its grace lasts
        yield* call("DELETE", `${core}/pods/c`, { gracePeriodSeconds: 60 })
        yield* until("a")
        yield* mark("a", { labels: { "kratos-service-app": null } })
        yield* until("")
      }).pipe(Effect.scoped)
    )

    it.effect("a pod that is not there is an error that says so", () =>
      Effect.gen(function* () {
        const { kubernetes, namespace } = yield* operator
        const { register } = Context.get(yield* registryOf(kubernetes, { pod: "nobody" }), Registrar)
        const error = yield* Effect.flip(register(instance))
        assert.strictEqual(error.message, `registry: register: kubernetes: patch pod ${namespace}/nobody: 404 pods "nobody" not found`)
      }).pipe(Effect.scoped)
    )
  })
})
