/**
 * Where the API server of a cluster is, and as whom it is spoken to: what a pod finds in itself, or a kubeconfig file says. Tokens in files are read again as
 * they rotate; no credential is part of an error or a log.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Kubeconfig from "./Kubeconfig.ts"
import { failed, type KubernetesError } from "./KubernetesError.ts"

export interface Tls {
  /** PEM. Default: the authorities of the system. */
  readonly ca?: string | undefined
  /** The client's certificate and its key, PEM. */
  readonly cert?: string | undefined
  readonly key?: Redacted.Redacted | undefined
  /** The name that the server's certificate must have, in place of the URL's. */
  readonly serverName?: string | undefined
  /** Takes any certificate. */
  readonly insecure?: boolean | undefined
}

export interface Cluster {
  /** `https://host:port`, with a path where there is one. */
  readonly server: string
  /** The one that is meant where none is said. */
  readonly namespace: string
  /** What to send now. `rejected` is what the server has just refused: a file is read again then. */
  readonly token: (rejected?: Redacted.Redacted) => Effect.Effect<Redacted.Redacted | undefined, KubernetesError>
  readonly tls: Tls
}

export interface Options extends Tls {
  readonly server: string
  /** Default `default`. */
  readonly namespace?: string | undefined
  readonly token?: Redacted.Redacted | undefined
}

/** What the program says itself. */
export const make = ({ namespace = "default", server, token, ...tls }: Options): Cluster => ({
  server: server.replace(/\/+$/, ""),
  namespace,
  token: () => Effect.succeed(token),
  tls
})

const operation = "credentials"

const read = (file: string): Effect.Effect<string, KubernetesError, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((fs) => fs.readFileString(file)).pipe(
    Effect.mapError(({ reason }) => failed(operation, `cannot read ${file}: ${reason._tag}`))
  )

/** Kubelets renew a token in its file long before it ends; this is how long we may not have noticed. As client-go. */
const TOKEN_AGE_MILLIS = 60_000

/** A token in a file. */
export const tokenFile = (file: string): Effect.Effect<Cluster["token"], never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (fs) => {
    let last: { readonly token: Redacted.Redacted; readonly since: number } | undefined
    return (rejected) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        if (last !== undefined && rejected === undefined && now - last.since < TOKEN_AGE_MILLIS) return last.token
        const found = yield* Effect.result(Effect.provideService(read(file), FileSystem.FileSystem, fs))
        if (found._tag === "Success") {
          const text = found.success.trim()
          // the same object while it is the same token
          const token = last !== undefined && Redacted.value(last.token) === text ? last.token : Redacted.make(text)
          last = { token, since: now }
        } else if (last === undefined) return yield* found.failure
        // a file that is being replaced is read the next time
        return last.token
      })
  })

export interface InClusterOptions {
  /** Where the service account is mounted. Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccount?: string | undefined
}

const variable = (name: string): Effect.Effect<string | undefined, KubernetesError> =>
  Config.String(name).pipe(
    Config.option,
    Effect.map((value) => Option.getOrUndefined(Option.filter(value, (text) => text !== ""))),
    Effect.mapError(() => failed(operation, `the variable ${name} cannot be read`))
  )

/** For programs in a pod: the service account, and the variables that each container has. */
export const inCluster = Effect.fnUntraced(function* (
  options: InClusterOptions = {}
): Effect.fn.Return<Cluster, KubernetesError, FileSystem.FileSystem> {
  const { serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount" } = options
  const host = yield* variable("KUBERNETES_SERVICE_HOST")
  const port = (yield* variable("KUBERNETES_SERVICE_PORT")) ?? "443"
  if (host === undefined) return yield* failed(operation, "not in a pod: there is no KUBERNETES_SERVICE_HOST")
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: (yield* read(`${serviceAccount}/namespace`)).trim(),
    token: yield* tokenFile(`${serviceAccount}/token`),
    tls: { ca: yield* read(`${serviceAccount}/ca.crt`) }
  }
})

export interface KubeconfigOptions {
  /** Several are separated by `:`. Default `$KUBECONFIG`, or `~/.kube/config`. */
  readonly path?: string | undefined
  /** Default: the current one. */
  readonly context?: string | undefined
}

/** By kubeconfig files: tokens, tokens in files, client certificates. Plugins (`exec`, `auth-provider`) are not run, and fail. */
export const fromKubeconfig = Effect.fnUntraced(function* (
  options: KubeconfigOptions = {}
): Effect.fn.Return<Cluster, KubernetesError, FileSystem.FileSystem | Path.Path> {
  const paths = yield* Path.Path
  const said = options.path ?? (yield* variable("KUBECONFIG"))
  const home = (yield* variable("HOME")) ?? ""
  const files = said === undefined ? [paths.join(home, ".kube", "config")] : said.split(":").filter((file) => file !== "")
  const parsed = yield* Effect.forEach(files, (file) =>
    Effect.flatMap(read(file), (text) => Effect.mapError(Kubeconfig.parse(text), (why) => failed(operation, `${file}: ${why}`)))
  )
  const found = yield* Effect.mapError(
    Kubeconfig.select(
      parsed.map((config, i) => ({ config, at: (file: string) => paths.resolve(paths.dirname(files[i]!), file) })),
      options.context
    ),
    (why) => failed(operation, `${files.join(":")}: ${why}`)
  )
  /** What is written inline counts before the file. */
  const pem = ({ data, file }: Kubeconfig.Material) =>
    data !== undefined ? Effect.succeed(data) : file !== undefined ? read(file) : Effect.undefined
  const key = yield* pem(found.key)
  return {
    server: found.server.replace(/\/+$/, ""),
    namespace: found.namespace,
    token: found.tokenFile === undefined ? () => Effect.succeed(found.token) : yield* tokenFile(found.tokenFile),
    tls: {
      ca: yield* pem(found.ca),
      cert: yield* pem(found.cert),
      key: key === undefined ? undefined : Redacted.make(key),
      serverName: found.serverName,
      insecure: found.insecure
    }
  }
})

/** `$KUBECONFIG` where it is set, else the pod that the program runs in, else `~/.kube/config`. */
export const detect: Effect.Effect<Cluster, KubernetesError, FileSystem.FileSystem | Path.Path> = Effect.gen(function* () {
  const inPod = (yield* variable("KUBERNETES_SERVICE_HOST")) !== undefined
  return yield* inPod && (yield* variable("KUBECONFIG")) === undefined ? inCluster() : fromKubeconfig()
})
