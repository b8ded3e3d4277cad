/** Reads kubeconfig files. Of several, the first that says something counts, as kubectl merges them. */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Yaml from "effect/encoding/Yaml"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const text = Schema.optional(Schema.NullOr(Schema.String))
const flag = Schema.optional(Schema.NullOr(Schema.Boolean))
const list = <S extends Schema.Codec<unknown, unknown>>(item: S) => Schema.optional(Schema.NullOr(Schema.Array(item)))

export const Kubeconfig = Schema.Struct({
  "current-context": text,
  contexts: list(
    Schema.Struct({
      name: Schema.String,
      context: Schema.Struct({ cluster: Schema.String, user: text, namespace: text })
    })
  ),
  clusters: list(
    Schema.Struct({
      name: Schema.String,
      cluster: Schema.Struct({
        server: Schema.String,
        "certificate-authority": text,
        "certificate-authority-data": text,
        "insecure-skip-tls-verify": flag,
        "tls-server-name": text
      })
    })
  ),
  users: list(
    Schema.Struct({
      name: Schema.String,
      user: Schema.optional(
        Schema.NullOr(
          Schema.Struct({
            token: text,
            tokenFile: text,
            "client-certificate": text,
            "client-certificate-data": text,
            "client-key": text,
            "client-key-data": text,
            exec: Schema.optional(Schema.Unknown),
            "auth-provider": Schema.optional(Schema.Unknown)
          })
        )
      )
    })
  )
})
export type Kubeconfig = typeof Kubeconfig.Type

/** YAML, of which JSON is a part. Fails with what is wrong, without the file's contents: they are secrets. */
export const parse = (text: string): Effect.Effect<Kubeconfig, string> =>
  Effect.try({ try: () => Yaml.parse(text), catch: () => "it is not YAML" }).pipe(
    Effect.flatMap((value) => Effect.mapError(Schema.decodeUnknownEffect(Kubeconfig)(value), () => "it is not a kubeconfig"))
  )

/** PEM, inline or in a file. */
export interface Material {
  readonly data: string | undefined
  readonly file: string | undefined
}

export interface Selected {
  readonly server: string
  readonly namespace: string
  readonly ca: Material
  readonly cert: Material
  readonly key: Material
  readonly serverName: string | undefined
  readonly insecure: boolean
  readonly token: Redacted.Redacted | undefined
  readonly tokenFile: string | undefined
}

/** A file, and where the paths in it lead. */
export interface File {
  readonly config: Kubeconfig
  readonly at: (path: string) => string
}

/** Empty is not said. */
const said = <A>(value: A | null | undefined): A | undefined => (value === "" ? undefined : (value ?? undefined))

export const select = (files: ReadonlyArray<File>, wanted: string | undefined): Effect.Effect<Selected, string> =>
  Effect.gen(function* () {
    const name = wanted ?? files.map(({ config }) => said(config["current-context"])).find((context) => context !== undefined)
    if (name === undefined) return yield* Effect.fail("there is no current context")
    const context = files.flatMap(({ config }) => config.contexts ?? []).find((one) => one.name === name)?.context
    if (context === undefined) return yield* Effect.fail(`there is no context "${name}"`)
    const clusters = files.flatMap(({ at, config }) => (config.clusters ?? []).map(({ cluster, name }) => ({ cluster, name, at })))
    const cluster = clusters.find((one) => one.name === context.cluster)
    if (cluster === undefined) return yield* Effect.fail(`there is no cluster "${context.cluster}"`)
    const users = files.flatMap(({ at, config }) => (config.users ?? []).map(({ name, user }) => ({ name, user, at })))
    const user = users.find((one) => one.name === context.user)
    if (user === undefined && said(context.user) !== undefined) return yield* Effect.fail(`there is no user "${context.user}"`)
    for (const plugin of ["exec", "auth-provider"] as const) {
      if (said(user?.user?.[plugin]) !== undefined)
        return yield* Effect.fail(`user "${user?.name}" needs a plugin (${plugin}); they are not run`)
    }
    const material = (
      data: string | null | undefined,
      file: string | null | undefined,
      at: File["at"]
    ): Effect.Effect<Material, string> => {
      const decoded = said(data) === undefined ? undefined : Result.getOrUndefined(Base64.decodeString(data!))
      if (said(data) !== undefined && decoded === undefined) return Effect.fail("inline data is not Base64")
      return Effect.succeed({ data: decoded, file: said(file) === undefined ? undefined : at(file!) })
    }
    const its = user?.user ?? undefined
    const from = user?.at ?? ((path: string) => path)
    const token = said(its?.token)
    const tokenFile = said(its?.tokenFile)
    return {
      server: cluster.cluster.server,
      namespace: said(context.namespace) ?? "default",
      ca: yield* material(cluster.cluster["certificate-authority-data"], cluster.cluster["certificate-authority"], cluster.at),
      cert: yield* material(its?.["client-certificate-data"], its?.["client-certificate"], from),
      key: yield* material(its?.["client-key-data"], its?.["client-key"], from),
      serverName: said(cluster.cluster["tls-server-name"]),
      insecure: cluster.cluster["insecure-skip-tls-verify"] ?? false,
      token: token === undefined ? undefined : Redacted.make(token),
      // the file counts before the text: it is the one that changes
      tokenFile: tokenFile === undefined ? undefined : from(tokenFile)
    }
  })
