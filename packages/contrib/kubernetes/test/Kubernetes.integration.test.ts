/** The client against a real API server: certificates, tokens that rotate, pages, versions that are too old. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as FaultProxy from "@effect-kratos/testing/FaultProxy"
import type { ConfigSource } from "@effect-kratos/core/config/ConfigSource"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import { Registrar } from "@effect-kratos/core/registry/Registrar"
import * as ServiceInstance from "@effect-kratos/core/registry/ServiceInstance"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Yaml from "effect/encoding/Yaml"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import * as Cluster from "../src/Cluster.ts"
import * as EndpointSlices from "../src/EndpointSlices.ts"
import * as Kubernetes from "../src/Kubernetes.ts"
import * as KubernetesConfig from "../src/KubernetesConfig.ts"
import type { KubernetesError } from "../src/KubernetesError.ts"
import * as KubernetesRegistry from "../src/KubernetesRegistry.ts"
import * as Reflector from "../src/Reflector.ts"
import { connect, KubernetesServer, layer, operator, run, skip, tokens } from "./KubernetesServer.ts"

const Named = Schema.Struct({ metadata: Schema.Struct({ name: Schema.String, resourceVersion: Schema.String }) })
const Token = Schema.Struct({ status: Schema.Struct({ token: Schema.String }) })

const build = (options: Kubernetes.Options) =>
  Effect.map(Layer.build(Layer.fresh(Kubernetes.layer(options))), (context) => Context.get(context, Kubernetes.Kubernetes))
const configMaps = (namespace: string) => ({ path: `/api/v1/namespaces/${namespace}/configmaps`, schema: Named })

describe.skipIf(skip !== undefined)(`Kubernetes client${skip === undefined ? "" : ` (skipped: ${skip})`}`, () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("kubeconfig: certificates in files and inline; wrong ones are an error without them", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { folder, port } = yield* KubernetesServer
        const inline = (name: string) => Effect.map(fs.readFileString(`${folder}/${name}`), Base64.encode)
        const write = (name: string, cluster: string, user: string) =>
          Effect.as(
            fs.writeFileString(
              `${folder}/${name}`,
              JSON.stringify({
                "current-context": "here",
                contexts: [{ name: "here", context: { cluster: "c", user: "u", namespace: "shop" } }],
                clusters: [{ name: "c", cluster: { server: `https://127.0.0.1:${port}`, ...JSON.parse(cluster) } }],
                users: [{ name: "u", user: JSON.parse(user) }]
              })
            ),
            build({ cluster: Cluster.fromKubeconfig({ path: `${folder}/${name}` }) })
          ).pipe(Effect.flatten)
        const ca = JSON.stringify({ "certificate-authority": "ca.pem" })
        const files = yield* write("files", ca, JSON.stringify({ "client-certificate": "client.pem", "client-key": "client.key" }))
        assert.strictEqual(files.namespace, "shop")
        yield* files.list(configMaps("default"))
        const whole = yield* write(
          "inline",
          JSON.stringify({ "certificate-authority-data": yield* inline("ca.pem") }),
          JSON.stringify({ "client-certificate-data": yield* inline("client.pem"), "client-key-data": yield* inline("client.key") })
        )
        yield* whole.list(configMaps("default"))
        const insecure = yield* write("insecure", '{"insecure-skip-tls-verify":true}', JSON.stringify({ token: tokens[1] }))
        yield* insecure.list(configMaps("default"))

        const stranger = yield* write("stranger", ca, JSON.stringify({ token: "hunter9" }))
        const refused = yield* Effect.flip(stranger.list(configMaps("default")))
        assert.deepStrictEqual([refused.status, refused.reason], [401, "Unauthorized"])
        assert.notInclude(`${refused.message} ${JSON.stringify(refused)}`, "hunter9")
        const unknown = yield* write("unknown", "{}", JSON.stringify({ token: tokens[0] }))
        const error = yield* Effect.flip(unknown.list(configMaps("default")))
        assert.match(error.message, /^kubernetes: list .*: .*certificate/)
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, tokens[0])
      }).pipe(Effect.scoped)
    )

    it.effect("in a pod: a service account whose token rotates, with the rights that the documents give, and no others", () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { ca, port } = yield* KubernetesServer
        const { call, core, kubernetes, namespace, runPod } = yield* operator
        yield* runPod("greeter-0")
        yield* call("POST", `${core}/serviceaccounts`, { metadata: { name: "greeter" } })
        const { status } = yield* kubernetes.call({
          operation: "token",
          method: "POST",
          path: `${core}/serviceaccounts/greeter/token`,
          body: { spec: { expirationSeconds: 600 } },
          schema: Token
        })
        const serviceAccount = yield* fs.makeTempDirectoryScoped()
        yield* fs.writeFileString(`${serviceAccount}/ca.crt`, ca)
        yield* fs.writeFileString(`${serviceAccount}/namespace`, namespace)
        // as one that has expired
        yield* fs.writeFileString(`${serviceAccount}/token`, "expired")
        const environment = ConfigProvider.fromUnknown({ KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(port) })
        const inPod = yield* build({
          cluster: Effect.provideService(Cluster.inCluster({ serviceAccount }), ConfigProvider.ConfigProvider, environment)
        })
        assert.strictEqual(inPod.namespace, namespace)
        const config = yield* Effect.provideService(KubernetesConfig.make({ namespace }), Kubernetes.Kubernetes, inPod)
        const secrets = yield* Effect.provideService(KubernetesConfig.secrets({ namespace }), Kubernetes.Kubernetes, inPod)
        const refused = (source: ConfigSource) => Effect.map(Effect.flip(source.load), ({ cause }) => (cause as KubernetesError).status)
        assert.strictEqual(yield* refused(config), 401)
        yield* fs.writeFileString(`${serviceAccount}/token`, `${status.token}\n`)
        assert.strictEqual(yield* refused(config), 403)

        const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
        const role = yield* fs.readFileString(fileURLToPath(new URL("../../../../docs/kubernetes.md", import.meta.url)))
        for (const [, text] of /```yaml\n(apiVersion: rbac[^`]*)---\n([^`]*)```/s.exec(role)!.slice(1).entries()) {
          const manifest = Yaml.parse(text) as { readonly kind: string }
          yield* call("POST", `${rbac}/${manifest.kind.toLowerCase()}s`, manifest)
        }
        // the server learns of rights by a watch of its own
        yield* Effect.retry(config.load, { schedule: Schedule.spaced("100 millis"), times: 100 })
        for (const source of [config, secrets]) {
          yield* source.load
          yield* Effect.timeout(Stream.runHead(source.changes), "10 seconds")
        }
        const registry = yield* Layer.build(
          Layer.provide(KubernetesRegistry.layerKubernetes({ pod: "greeter-0" }), Layer.succeed(Kubernetes.Kubernetes, inPod))
        )
        const slices = yield* Layer.build(Layer.provide(EndpointSlices.layerKubernetes(), Layer.succeed(Kubernetes.Kubernetes, inPod)))
        yield* Context.get(registry, Registrar).register(
          ServiceInstance.make({ id: "1", name: "greeter", version: "1", endpoints: ["http://127.0.0.1:8000"] })
        )
        for (const [discovery, count] of [
          [Context.get(registry, Discovery), 1],
          [Context.get(slices, Discovery), 0]
        ] as const) {
          assert.lengthOf(yield* discovery.get("greeter"), count)
          assert.lengthOf(yield* Stream.runHead(discovery.watch("greeter")).pipe(Effect.flatMap(Effect.fromOption)), count)
        }
        const other = yield* Effect.flip(Context.get(slices, Discovery).get("greeter.default"))
        assert.match(other.message, /403 endpointslices.discovery.k8s.io is forbidden/)
      }).pipe(Effect.scoped)
    )

    it.effect("lists in pages", () =>
      Effect.gen(function* () {
        const { call, core, kubernetes, namespace } = yield* operator
        const names = Array.from({ length: 1100 }, (_, i) => `c${String(i).padStart(4, "0")}`)
        yield* Effect.forEach(names, (name) => call("POST", `${core}/configmaps`, { metadata: { name } }), { concurrency: 16 })
        const { items, version } = yield* kubernetes.list(configMaps(namespace))
        assert.deepStrictEqual(
          items.map(({ key }) => key),
          names.map((name) => `${namespace}/${name}`)
        )
        assert.match(version, /^\d+$/)
      }).pipe(Effect.scoped)
    )

    const control = Daemon.missing("etcdctl")
    it.effect.skipIf(control !== undefined)(`a version that etcd has compacted: 410, and the list is read again`, () =>
      Effect.gen(function* () {
        const { daemon, etcd } = yield* KubernetesServer
        const { call, core, kubernetes, namespace } = yield* operator
        const maps = configMaps(namespace)
        const { version } = yield* kubernetes.list(maps)
        for (let i = 0; i < 3; i++) yield* call("POST", `${core}/configmaps`, { metadata: { name: `m${i}` } })
        yield* call("DELETE", `${core}/configmaps/m1`)
        const { version: last } = yield* kubernetes.list(maps)
        yield* run("env", "ETCDCTL_API=3", "etcdctl", `--endpoints=${etcd}`, "compact", last)
        // its own memory of what has changed goes, too
        yield* Effect.andThen(daemon.kill, daemon.start)

        const error = yield* Effect.flip(Stream.runDrain(kubernetes.watch(maps, version)))
        assert.deepStrictEqual([error.status, error.reason], [410, "Expired"])
        const memory: Reflector.Memory<typeof Named.Type> = { items: new Map(), version }
        const found = yield* Reflector.follow(kubernetes, maps, memory).pipe(
          Stream.map((list) => list.map(({ metadata }) => metadata.name).join()),
          Stream.filter((list) => list === "m0,m2"),
          Stream.runHead,
          Effect.timeout("30 seconds")
        )
        assert.strictEqual(found._tag, "Some")
      }).pipe(Effect.scoped)
    )

    it.effect("a watch goes on where a cut connection left it, without a list", () =>
      Effect.gen(function* () {
        const { port } = yield* KubernetesServer
        const proxy = yield* FaultProxy.make({ upstream: { host: "127.0.0.1", port } })
        const { call, core, namespace } = yield* operator
        let lists = 0
        const far = yield* connect({ port: proxy.address.port })
        const counted: Kubernetes.Kubernetes["Service"] = {
          ...far,
          list: (resource) =>
            Effect.andThen(
              Effect.sync(() => lists++),
              far.list(resource)
            )
        }
        const memory = Reflector.memory<typeof Named.Type>()
        const lengths = Reflector.follow(counted, configMaps(namespace), memory).pipe(Stream.map((list) => list.length))
        yield* Effect.flip(
          Stream.runForEach(lengths, (length) =>
            length === 0 ? call("POST", `${core}/configmaps`, { metadata: { name: "a" } }) : proxy.resetConnections
          )
        )
        yield* call("POST", `${core}/configmaps`, { metadata: { name: "b" } })
        const seen = yield* lengths.pipe(
          Stream.takeUntil((length) => length === 2),
          Stream.runCollect,
          Effect.timeout("30 seconds")
        )
        assert.deepStrictEqual(seen, [1, 2])
        assert.strictEqual(lists, 1)
      }).pipe(Effect.scoped)
    )

    it.effect("a server that does not answer, and one that floods, are typed errors", () =>
      Effect.gen(function* () {
        const { daemon, port } = yield* KubernetesServer
        const { call, core, kubernetes, namespace } = yield* operator
        const { version } = yield* kubernetes.list(configMaps(namespace))
        yield* call("POST", `${core}/configmaps`, { metadata: { name: "a" }, data: { text: "x".repeat(20_000) } })
        const narrow = yield* connect({ maxReply: 10_000, maxEvent: 10_000 })
        const reply = yield* Effect.flip(narrow.list(configMaps(namespace)))
        assert.match(reply.message, /a reply of more than 10000 characters$/)
        const event = yield* Effect.flip(Stream.runDrain(narrow.watch(configMaps(namespace), version)))
        assert.match(event.message, /an event of more than 10000 characters$/)

        const hasty = yield* connect({ timeout: "500 millis", port })
        yield* Effect.acquireRelease(daemon.pause, () => daemon.resume)
        // a signal takes its time
        const first = yield* Effect.flip(Effect.forever(hasty.list(configMaps(namespace))))
        const second = yield* Effect.flip(Stream.runDrain(hasty.watch(configMaps(namespace), version)))
        for (const error of [first, second]) assert.match(error.message, /no answer within 500ms$/)
      }).pipe(Effect.scoped)
    )
  })
})
