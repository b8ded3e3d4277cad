import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as PlatformError from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Cluster from "../src/Cluster.ts"
import { list, make, status } from "./Recorded.ts"

const account = "/var/run/secrets/kubernetes.io/serviceaccount"

/** A machine with these files and variables. */
const machine = (files: Map<string, string>, variables: Readonly<Record<string, string>> = {}) =>
  Layer.mergeAll(
    FileSystem.layerNoop({
      readFileString: (path) =>
        Effect.suspend(() => {
          const text = files.get(path)
          return text === undefined
            ? Effect.fail(
                PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFileString", pathOrDescriptor: path })
              )
            : Effect.succeed(text)
        })
    }),
    Path.layer,
    ConfigProvider.layer(ConfigProvider.fromUnknown(variables))
  )
const pod = () =>
  new Map([
    [`${account}/token`, "one\n"],
    [`${account}/ca.crt`, "CA"],
    [`${account}/namespace`, "shop\n"]
  ])
const text = (token: Redacted.Redacted | undefined) => (token === undefined ? undefined : Redacted.value(token))
const empty = { path: "/api/v1/pods", schema: Schema.Unknown }

const kubeconfig = (name: string, user: string, extra = "") => `
apiVersion: v1
kind: Config
${extra}
clusters:
- name: ${name}
  cluster:
    server: https://${name}.example:6443/
    certificate-authority: pki/ca.pem
contexts:
- name: ${name}
  context: {cluster: ${name}, user: ${name}, namespace: team}
users:
- name: ${name}
  user:
    ${user}
`

describe("Cluster", () => {
  it.effect("in a pod: its service account", () =>
    Effect.gen(function* () {
      const cluster = yield* Cluster.detect
      assert.deepStrictEqual([cluster.server, cluster.namespace, cluster.tls], ["https://[fd00::1]:6443", "shop", { ca: "CA" }])
      assert.strictEqual(text(yield* cluster.token()), "one")
    }).pipe(Effect.provide(machine(pod(), { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" })))
  )
  it.effect("a token in a file is read again after a minute, and when it is refused; a file that is gone for a moment does no harm", () => {
    const files = pod()
    return Effect.gen(function* () {
      const { token } = yield* Cluster.inCluster()
      const first = yield* token()
      files.set(`${account}/token`, "two")
      assert.strictEqual(text(yield* token()), "one")
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(text(yield* token()), "two")
      files.set(`${account}/token`, "three")
      assert.strictEqual(text(yield* token(first)), "three")
      files.delete(`${account}/token`)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(text(yield* token()), "three")
    }).pipe(Effect.provide(machine(files, { KUBERNETES_SERVICE_HOST: "10.0.0.1" })))
  })
  it.effect("a call whose token has rotated is sent again once with the new one", () => {
    const files = pod()
    return Effect.gen(function* () {
      const cluster = yield* Cluster.inCluster()
      const { asked, kubernetes } = yield* make(({ token }) => (token === "two" ? list(1, []) : status(401, "Unauthorized")), {}, cluster)
      const error = yield* Effect.flip(kubernetes.list(empty))
      assert.strictEqual(error.status, 401)
      files.set(`${account}/token`, "two")
      yield* kubernetes.list(empty)
      assert.deepStrictEqual(
        asked.map(({ token }) => token),
        ["one", "one", "two"]
      )
    }).pipe(Effect.provide(machine(files, { KUBERNETES_SERVICE_HOST: "10.0.0.1" })))
  })
  it.effect("outside: kubeconfig files, of which the first that says something counts; paths lead from their file", () =>
    Effect.gen(function* () {
      const current = yield* Cluster.detect
      assert.deepStrictEqual([current.server, current.namespace, current.tls.ca], ["https://a.example:6443", "team", "CA of a"])
      assert.strictEqual(text(yield* current.token()), "hunter2")
      const other = yield* Cluster.fromKubeconfig({ context: "b" })
      assert.deepStrictEqual([other.server, other.tls.ca, text(yield* other.token())], ["https://b.example:6443", "CA of b", "from a file"])
    }).pipe(
      Effect.provide(
        machine(
          new Map([
            ["/one/config", kubeconfig("a", "token: hunter2", "current-context: a")],
            ["/one/pki/ca.pem", "CA of a"],
            ["/two/config", kubeconfig("b", "tokenFile: token", "current-context: b")],
            ["/two/pki/ca.pem", "CA of b"],
            ["/two/token", "from a file"]
          ]),
          { KUBECONFIG: "/one/config:/two/config", KUBERNETES_SERVICE_HOST: "10.0.0.1" }
        )
      )
    )
  )
  it.effect("what is wrong with a kubeconfig is said without its contents", () => {
    const cases: Readonly<Record<string, readonly [string, RegExp]>> = {
      "no context": [kubeconfig("a", "token: hunter2"), /there is no current context$/],
      "unknown context": [kubeconfig("a", "token: hunter2", "current-context: b"), /there is no context "b"$/],
      plugin: [kubeconfig("a", "exec: {command: hunter2}", "current-context: a"), /user "a" needs a plugin \(exec\); they are not run$/],
      inline: [kubeconfig("a", 'client-key-data: "hunter2"', "current-context: a"), /inline data is not Base64$/],
      shape: ["users: hunter2", /it is not a kubeconfig$/],
      yaml: ["a: [hunter2", /it is not YAML$/],
      "no ca": [kubeconfig("a", "token: hunter2", "current-context: a"), /cannot read \/pki\/ca.pem: NotFound$/]
    }
    return Effect.forEach(Object.entries(cases), ([name, [text, message]]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Cluster.fromKubeconfig())
        assert.match(error.message, message, name)
        assert.notInclude(JSON.stringify(error) + error.message, "hunter2")
      }).pipe(Effect.provide(machine(new Map([["/config", text]]), { KUBECONFIG: "/config" })))
    )
  })
})
