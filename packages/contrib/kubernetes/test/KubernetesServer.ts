/** A real API server of Kubernetes on a real etcd, both on this machine. There is no kubelet: tests say themselves how their pods are. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import * as https from "node:https"
import * as Cluster from "../src/Cluster.ts"
import * as Kubernetes from "../src/Kubernetes.ts"

export const skip = Daemon.missing("kube-apiserver", "etcd", "openssl")

/** Tokens that the server takes. */
export const tokens = ["hunter2", "hunter3"] as const

export class KubernetesServer extends Context.Service<
  KubernetesServer,
  {
    readonly port: number
    readonly etcd: string
    readonly daemon: Daemon.Daemon
    /** Where `ca.pem`, `client.pem` and `client.key` are. */
    readonly folder: string
    readonly ca: string
  }
>()("test/KubernetesServer") {}

export const run = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    execFile(command, args, (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${command} ${args.join(" ")}: ${stderr}`)))
    )
  })

const words = (text: string) => text.split(" ")
const key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

/** An authority, and certificates of the server and of a client. */
const certificates = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const at = (name: string) => `${folder}/${name}`
  yield* run("openssl", ...words(`req -x509 ${key} -days 2 -subj /CN=test-ca -keyout ${at("ca.key")} -out ${at("ca.pem")}`))
  for (const [name, subject, extension] of [
    ["server", "/CN=kubernetes", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"],
    ["client", "/O=system:masters/CN=certified", "extendedKeyUsage=clientAuth\n"]
  ] as const) {
    yield* fs.writeFileString(at(`${name}.ext`), extension)
    yield* run("openssl", ...words(`req ${key} -subj ${subject} -keyout ${at(`${name}.key`)} -out ${at(`${name}.csr`)}`))
    yield* run(
      "openssl",
      ...words(`x509 -req -days 2 -in ${at(`${name}.csr`)} -CA ${at("ca.pem")} -CAkey ${at("ca.key")} -CAcreateserial`),
      ...words(`-extfile ${at(`${name}.ext`)} -out ${at(`${name}.pem`)}`)
    )
  }
  yield* run("openssl", ...words(`genrsa -out ${at("accounts.key")} 2048`))
})

const make = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "kubernetes-" })
  const at = (name: string) => `${folder}/${name}`
  yield* certificates(folder)
  yield* fs.writeFileString(at("tokens.csv"), tokens.map((token, i) => `${token},admin${i},admin${i},"system:masters"\n`).join(""))
  const ca = yield* fs.readFileString(at("ca.pem"))

  const [client, peer, port] = [yield* Daemon.freePort, yield* Daemon.freePort, yield* Daemon.freePort]
  const etcd = `http://127.0.0.1:${client}`
  yield* Daemon.make({
    command: "etcd",
    args: [
      ...words(`--data-dir=${at("etcd")} --name=t --listen-client-urls=${etcd} --advertise-client-urls=${etcd} --logger=zap`),
      ...words(`--listen-peer-urls=http://127.0.0.1:${peer} --initial-advertise-peer-urls=http://127.0.0.1:${peer}`),
      `--initial-cluster=t=http://127.0.0.1:${peer}`
    ],
    probe: Daemon.probeHttp(`${etcd}/health`)
  })
  const daemon = yield* Daemon.make({
    command: "kube-apiserver",
    args: [
      ...words(`--etcd-servers=${etcd} --etcd-compaction-interval=0 --secure-port=${port} --bind-address=127.0.0.1`),
      ...words(`--cert-dir=${at("certificates")} --tls-cert-file=${at("server.pem")} --tls-private-key-file=${at("server.key")}`),
      ...words(`--client-ca-file=${at("ca.pem")} --token-auth-file=${at("tokens.csv")} --authorization-mode=RBAC`),
      ...words(`--service-account-issuer=https://kubernetes.default.svc --service-account-key-file=${at("accounts.key")}`),
      ...words(`--service-account-signing-key-file=${at("accounts.key")} --disable-admission-plugins=ServiceAccount`),
      "--service-cluster-ip-range=10.0.0.0/24"
    ],
    probe: ready(port, ca)
  })
  return KubernetesServer.of({ port, etcd, daemon, folder, ca })
})

const ready = (port: number, ca: string): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    const request = https.get(
      `https://127.0.0.1:${port}/readyz`,
      { ca, agent: false, headers: { authorization: `Bearer ${tokens[0]}` } },
      (response) => {
        response.resume()
        resume(response.statusCode === 200 ? Effect.void : Effect.fail(response.statusCode))
      }
    )
    request.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => request.destroy())
  })

export const layer = Layer.effect(KubernetesServer, make).pipe(Layer.provideMerge(NodeServices.layer))

/** As an administrator, at the server or what stands before it. */
export const connect = (options: { readonly port?: number; readonly namespace?: string } & Kubernetes.Limits = {}) =>
  Effect.flatMap(KubernetesServer, ({ ca, port }) => {
    const server = `https://127.0.0.1:${options.port ?? port}`
    const cluster = Cluster.make({ server, ca, token: Redacted.make(tokens[0]), namespace: options.namespace })
    return Effect.map(Layer.build(Layer.fresh(Kubernetes.layerCluster(cluster, options))), (context) =>
      Context.get(context, Kubernetes.Kubernetes)
    )
  })

let namespaces = 0

/** An operator of a namespace of its own. */
export const operator = Effect.gen(function* () {
  const namespace = `test-${process.pid}-${namespaces++}`
  const kubernetes = yield* connect({ namespace })
  const call = (method: Kubernetes.Call<typeof Schema.Unknown>["method"], path: string, body?: unknown, contentType?: string) =>
    kubernetes.call({ operation: `${method} ${path}`, method, path, body, contentType, schema: Schema.Unknown })
  yield* call("POST", "/api/v1/namespaces", { metadata: { name: namespace } })
  const core = `/api/v1/namespaces/${namespace}`
  return {
    kubernetes,
    namespace,
    call,
    core,
    slices: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
    /** Creates a pod that runs. */
    runPod: Effect.fnUntraced(function* (
      name: string,
      pod: { readonly metadata?: object; readonly spec?: object; readonly ip?: string } = {}
    ) {
      const { ip = "127.0.0.1", metadata, spec } = pod
      const ports = [{ containerPort: 8000 }, { containerPort: 9000 }]
      yield* call("POST", `${core}/pods`, {
        metadata: { name, ...metadata },
        spec: { containers: [{ name: "main", image: "none", ports }], ...spec }
      })
      yield* call(
        "PATCH",
        `${core}/pods/${name}/status`,
        { status: { phase: "Running", podIP: ip, podIPs: [{ ip }], conditions: [{ type: "Ready", status: "True" }] } },
        "application/merge-patch+json"
      )
    }),
    /** As a kubelet does. */
    setStatus: (name: string, status: object) => call("PATCH", `${core}/pods/${name}/status`, { status }, "application/merge-patch+json"),
    mark: (name: string, metadata: object) => call("PATCH", `${core}/pods/${name}`, { metadata }, "application/strategic-merge-patch+json")
  }
})
