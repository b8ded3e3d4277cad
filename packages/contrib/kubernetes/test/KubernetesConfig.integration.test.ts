import * as Fault from "@effect-kratos/testing/Fault"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import * as ConfigSourceLaws from "@effect-kratos/testing/ConfigSourceLaws"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/encoding/Base64"
import * as Stream from "effect/Stream"
import * as Kubernetes from "../src/Kubernetes.ts"
import * as KubernetesConfig from "../src/KubernetesConfig.ts"
import { connect, KubernetesServer, layer, operator, skip, tokens } from "./KubernetesServer.ts"

const place = (kind: "configmaps" | "secrets") =>
  Effect.gen(function* () {
    const { port } = yield* KubernetesServer
    const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
    const { call, core, namespace } = yield* operator
    const kubernetes = yield* connect({ port: proxy.address.port, timeout: "3 seconds" })
    yield* call("POST", `${core}/${kind}`, { metadata: { name: "greeter", labels: { app: "greeter" } } })
    // of somebody else
    yield* call("POST", `${core}/${kind}`, { metadata: { name: "other" }, ...(kind === "secrets" ? {} : { data: { "app.yaml": "b: 1" } }) })
    const options = { namespace, labelSelector: "app=greeter" }
    const put = (data: Record<string, string | null>) => call("PATCH", `${core}/${kind}/greeter`, { data }, "application/merge-patch+json")
    return {
      source: yield* Effect.provideService(
        kind === "secrets" ? KubernetesConfig.secrets(options) : KubernetesConfig.make(options),
        Kubernetes.Kubernetes,
        kubernetes
      ),
      write: (name: string, text: string) => put({ [name]: kind === "secrets" ? Encoding.encode(text) : text }),
      remove: (name: string) => put({ [name]: null }),
      keyOf: (name: string) => `${namespace}/greeter/${name}`,
      cut: proxy.add(Fault.down),
      secrets: tokens
    }
  })

ConfigSourceLaws.suite("Kubernetes ConfigMaps", place("configmaps"), layer, { skip })
ConfigSourceLaws.suite("Kubernetes Secrets", place("secrets"), layer, { skip })

describe.skipIf(skip !== undefined)(`Kubernetes config${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("what is deleted disappears, and the order is that of names whatever came first", () =>
      Effect.gen(function* () {
        const { call, core, kubernetes, namespace } = yield* operator
        const source = yield* Effect.provideService(KubernetesConfig.make({ namespace }), Kubernetes.Kubernetes, kubernetes)
        const pull = yield* Stream.toPull(
          Stream.map(source.changes, (list) => list.map(({ key }) => key.slice(namespace.length + 1)).join())
        )
        const until = (keys: string) =>
          Stream.fromPull(Effect.succeed(pull)).pipe(
            Stream.filter((found) => found === keys),
            Stream.runHead,
            Effect.timeout("30 seconds")
          )
        yield* until("")
        yield* call("POST", `${core}/configmaps`, { metadata: { name: "b" }, data: { "2.yaml": "", "1.json": "" } })
        yield* until("b/1.json,b/2.yaml")
        yield* call("POST", `${core}/configmaps`, { metadata: { name: "a" }, data: { bare: "x" } })
        yield* until("a/bare,b/1.json,b/2.yaml")
        assert.deepStrictEqual((yield* source.load)[0], { key: `${namespace}/a/bare`, value: "x", format: "" })
        yield* call("DELETE", `${core}/configmaps/b`)
        yield* until("a/bare")
      }).pipe(Effect.scoped)
    )
    it.effect("secrets are marked, and one that is no text is an error without it", () =>
      Effect.gen(function* () {
        const { call, core, kubernetes, namespace } = yield* operator
        const options = { namespace, fieldSelector: "metadata.name=s" }
        const source = yield* Effect.provideService(KubernetesConfig.secrets(options), Kubernetes.Kubernetes, kubernetes)
        yield* call("POST", `${core}/secrets`, { metadata: { name: "s" }, stringData: { "db.yaml": "password: hunter4" } })
        assert.deepStrictEqual(yield* source.load, [
          { key: `${namespace}/s/db.yaml`, value: "password: hunter4", format: "yaml", secret: true }
        ])
        const binary = Encoding.encode(new Uint8Array([0xff, 0xfe, 1]))
        yield* call("PATCH", `${core}/secrets/s`, { data: { "key.bin": binary } }, "application/merge-patch+json")
        const error = yield* Effect.flip(source.load)
        assert.strictEqual(
          error.message,
          `config: kubernetes secrets in ${namespace} (metadata.name=s), ${namespace}/s/key.bin: it is not UTF-8`
        )
        assert.notInclude(JSON.stringify(error), binary)
      }).pipe(Effect.scoped)
    )
  })
})
