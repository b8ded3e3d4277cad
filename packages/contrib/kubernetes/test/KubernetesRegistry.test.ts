/** The registry against recorded replies: what it asks for, and what it makes of odd answers. */
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { Kubernetes } from "../src/Kubernetes.ts"
import * as KubernetesRegistry from "../src/KubernetesRegistry.ts"
import { type Asked, event, list, make, status, watch } from "./Recorded.ts"

const pod = (name: string, labels: object, annotations: object = {}) => ({
  metadata: { namespace: "default", name, resourceVersion: "3", labels, annotations },
  spec: { containers: [{ ports: [{ containerPort: 8000, name: "http" }] }] },
  status: { phase: "Running", podIP: "10.0.0.1" }
})
const instance = ServiceInstance.make({
  id: "1",
  name: "hello",
  version: "v1",
  endpoints: ["http://10.0.0.1:8000", "grpc://10.0.0.1:9000"]
})
const marked = pod(
  "hello-0",
  { "kratos-service-id": "1", "kratos-service-app": "hello", "kratos-service-version": "v1" },
  { "kratos-service-metadata": "null", "kratos-service-protocols": '{"8000":"http","9000":"grpc"}' }
)

const registry = Effect.fnUntraced(function* (answer: (asked: Asked, n: number) => Response, options: KubernetesRegistry.Options = {}) {
  const { asked, kubernetes } = yield* make(answer)
  const context = yield* Layer.build(
    Layer.fresh(Layer.provide(KubernetesRegistry.layerKubernetes(options), Layer.succeed(Kubernetes, kubernetes)))
  )
  return { asked, register: Context.get(context, Registrar).register, discovery: Context.get(context, Discovery) }
})
/** What is logged, one text a line. */
const logged = (lines: Array<string>) =>
  Logger.layer([
    Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`))
  ])

describe("KubernetesRegistry", () => {
  it.effect("patches its pod as Kratos does, says which ports nobody will see, and takes its labels away at the end", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const { asked, register } = yield* registry(({ method, query }) =>
        method === "PATCH" ? Response.json(marked) : query["watch"] === undefined ? list(5, [marked]) : watch([], { open: true })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* register(instance)
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(
            asked.map(({ method, path }) => `${method} ${path}`),
            ["PATCH /api/v1/namespaces/default/pods/hello-0", "GET /api/v1/namespaces/default/pods", "GET /api/v1/namespaces/default/pods"]
          )
          assert.strictEqual(asked[1]?.query["fieldSelector"], "metadata.name=hello-0")
        })
      )
      const patches = asked.filter(({ method }) => method === "PATCH")
      assert.deepStrictEqual(
        patches.map(({ body }) => body),
        [
          '{"metadata":{"labels":{"kratos-service-id":"1","kratos-service-app":"hello","kratos-service-version":"v1"},' +
            '"annotations":{"kratos-service-metadata":"null","kratos-service-protocols":"{\\"8000\\":\\"http\\",\\"9000\\":\\"grpc\\"}"}}}',
          '{"metadata":{"labels":{"kratos-service-id":"","kratos-service-app":"","kratos-service-version":""},' +
            '"annotations":{"kratos-service-metadata":"{}","kratos-service-protocols":"{}"}}}'
        ]
      )
      for (const { contentType } of patches) assert.strictEqual(contentType, "application/strategic-merge-patch+json")
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("Warn")),
        ["Warn hello-1 on pod default/hello-0: no container declares port 9000; nobody will see it"]
      )
    }).pipe(Effect.provide([logged(lines), ConfigProvider.layer(ConfigProvider.fromUnknown({ POD_NAME: "hello-0", HOSTNAME: "node-7" }))]))
  })
  it.effect("labels that are taken away are written again; a server that is away takes nothing away", () =>
    Effect.gen(function* () {
      let lost = false
      const { asked, register } = yield* registry(
        ({ method, query }) => {
          if (method === "PATCH") return Response.json(marked)
          if (query["watch"] === undefined) return list(5, [marked])
          if (!lost) return status(500, "InternalError")
          lost = false
          return watch([event("MODIFIED", pod("hello-0", {}))], { open: true })
        },
        { pod: "hello-0" }
      )
      const patches = () => asked.filter(({ method }) => method === "PATCH").length
      yield* register(instance)
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      assert.strictEqual(patches(), 1)
      assert.isBelow(asked.length, 40)
      lost = true
      for (let i = 0; i < 90; i++) yield* TestClock.adjust("1 second")
      assert.strictEqual(patches(), 2)
    }).pipe(Effect.scoped)
  )
  it.effect("where its pod may not be watched, it stays registered", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const { asked, register } = yield* registry(({ method }) => (method === "PATCH" ? Response.json(marked) : status(403, "Forbidden")), {
        pod: "hello-0"
      })
      yield* register(instance)
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("1 second")
      assert.lengthOf(asked, 2)
      assert.isTrue(lines.some((line) => line.includes("not watched, and not registered again should it be lost")))
    }).pipe(Effect.scoped, Effect.provide(logged(lines)))
  })
  it.effect("a pod whose annotations cannot be read is skipped, with one warning", () => {
    const lines: Array<string> = []
    return Effect.gen(function* () {
      const broken = pod("b", { "kratos-service-app": "hello", "kratos-service-id": "2" }, { "kratos-service-metadata": "{" })
      const { asked, discovery } = yield* registry(() => list(5, [marked, broken]), { namespace: "" })
      for (let i = 0; i < 2; i++) {
        assert.deepStrictEqual(yield* discovery.get("hello"), [
          ServiceInstance.make({ id: "1", name: "hello", version: "v1", endpoints: ["http://10.0.0.1:8000"] })
        ])
      }
      assert.deepStrictEqual([asked[0]?.path, asked[0]?.query["labelSelector"]], ["/api/v1/pods", "kratos-service-app=hello"])
      assert.deepStrictEqual(lines, ["Warn the annotations of pod default/b cannot be read; it is skipped"])
    }).pipe(Effect.scoped, Effect.provide(logged(lines)))
  })
  it.effect("what can never be is refused for good, and not asked for", () =>
    Effect.gen(function* () {
      const { asked, discovery, register } = yield* registry(() => list(5, []))
      const errors = [
        yield* Effect.flip(discovery.get("two words")),
        yield* Effect.flip(Effect.scoped(register(ServiceInstance.make({ id: "a/b", name: "hello" })))),
        // neither POD_NAME nor HOSTNAME
        yield* Effect.flip(Effect.scoped(register(instance)))
      ]
      for (const error of errors) assert.deepStrictEqual([error._tag, error.permanent], ["RegistryError", true], error.message)
      assert.lengthOf(asked, 0)
    }).pipe(Effect.scoped, Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({}))))
  )
})
