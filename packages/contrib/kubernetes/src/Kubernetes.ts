/**
 * Kubernetes' API, as far as a registry and a source of config need it: objects read and patched, lists in pages, watches. JSON over HTTP/1.1, a connection
 * for each watch.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodePath from "@effect/platform-node/NodePath"
import * as Cluster from "./Cluster.ts"
import * as Lines from "./internal/Lines.ts"
import { failed, KubernetesError } from "./KubernetesError.ts"

export interface Limits {
  /** For one call, and for a watch to begin. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Longest reply, in UTF-16 units: a page of a list has up to 500 objects. Default 64 Mi. */
  readonly maxReply?: number | undefined
  /** Longest event of a watch, in UTF-16 units. etcd holds objects up to 1.5 MiB. Default 8 Mi. */
  readonly maxEvent?: number | undefined
  /** A watch that is silent for so long is opened again where it was; the server says something each minute. Default 150 seconds. */
  readonly silence?: Duration.Input | undefined
}

/** Objects of one kind. */
export interface Resource<out S extends Schema.Codec<unknown, unknown>> {
  /** `/api/v1/namespaces/shop/pods`. */
  readonly path: string
  /** What is read of an object. */
  readonly schema: S
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

export interface Item<out A> {
  /** `namespace/name`. */
  readonly key: string
  readonly value: A
}

export interface Listing<out A> {
  readonly items: ReadonlyArray<Item<A>>
  /** The state that the list shows; a watch goes on from here. */
  readonly version: string
}

export type Event<A> =
  /** The server has taken the watch. */
  | { readonly type: "OPENED" }
  | { readonly type: "SET"; readonly item: Item<A>; readonly version: string }
  | { readonly type: "DELETED"; readonly key: string; readonly version: string }
  /** Nothing has changed up to here. */
  | { readonly type: "BOOKMARK"; readonly version: string }

export interface Call<out S extends Schema.Codec<unknown, unknown>> {
  /** For errors: `patch pod greeter-0`. */
  readonly operation: string
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly path: string
  readonly query?: Readonly<Record<string, string>> | undefined
  /** Sent as JSON. */
  readonly body?: unknown
  /** Default `application/json`. */
  readonly contentType?: string | undefined
  /** What is read of the reply. */
  readonly schema: S
}

export class Kubernetes extends Context.Service<
  Kubernetes,
  {
    /** The program's own. */
    readonly namespace: string
    readonly call: <S extends Schema.Codec<unknown, unknown>>(call: Call<S>) => Effect.Effect<S["Type"], KubernetesError>
    /** All pages. */
    readonly list: <S extends Schema.Codec<unknown, unknown>>(resource: Resource<S>) => Effect.Effect<Listing<S["Type"]>, KubernetesError>
    /** What changes after `version`, until the server ends it, which it does every few minutes. Status 410 says that `version` is too old. */
    readonly watch: <S extends Schema.Codec<unknown, unknown>>(
      resource: Resource<S>,
      version: string
    ) => Stream.Stream<Event<S["Type"]>, KubernetesError>
  }
>()("@effect-kratos/contrib-kubernetes/Kubernetes") {}

/** Objects in a page, as client-go. */
const PAGE = 500
/** Pages of one list: a server that always has one more is not followed for ever. */
const MAX_PAGES = 1000
/** A watch is asked to end after 5 to 10 minutes, as client-go does: clients of one server spread out again. */
const WATCH_SECONDS = [300, 600] as const
/** Attempts where the server says that it is too busy, and the longest wait that it may ask for. */
const MAX_ATTEMPTS = 3
const MAX_WAIT_SECONDS = 5

const Status = Schema.Struct({
  message: Schema.optional(Schema.String),
  reason: Schema.optional(Schema.String),
  code: Schema.optional(Schema.Int)
})
const Metadata = Schema.Struct({
  metadata: Schema.Struct({
    name: Schema.optional(Schema.String),
    namespace: Schema.optional(Schema.String),
    resourceVersion: Schema.optional(Schema.String)
  })
})
const Page = Schema.Struct({
  metadata: Schema.Struct({ resourceVersion: Schema.String, continue: Schema.optional(Schema.String) }),
  items: Schema.NullOr(Schema.Array(Schema.Unknown))
})
const WatchEvent = Schema.fromJsonString(Schema.Struct({ type: Schema.String, object: Schema.Unknown }))

/** On an `HttpClient` that has the cluster's certificates. */
export const make = Effect.fnUntraced(function* (
  cluster: Cluster.Cluster,
  limits: Limits = {}
): Effect.fn.Return<Kubernetes["Service"], never, HttpClient.HttpClient> {
  const { maxEvent = 8 * 1024 * 1024, maxReply = 64 * 1024 * 1024, silence = "150 seconds" } = limits
  const timeout = Duration.fromInputUnsafe(limits.timeout ?? "10 seconds")
  const http = yield* HttpClient.HttpClient

  const within = (operation: string) =>
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.fail(failed(operation, `no answer within ${Duration.format(timeout)}`))
    })

  /** The head of a reply. A token that is refused may have rotated: it is read again once. */
  const open = (
    operation: string,
    request: HttpClientRequest.HttpClientRequest,
    refused?: Redacted.Redacted
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, KubernetesError> =>
    Effect.gen(function* () {
      const token = yield* cluster.token(refused)
      const full = HttpClientRequest.prependUrl(request, cluster.server)
      const response = yield* http.execute(token === undefined ? full : HttpClientRequest.bearerToken(full, token)).pipe(
        // a fleet's watches are nobody's trace
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
        Effect.mapError((error) => failed(operation, transport(error)))
      )
      if (response.status !== 401 || token === undefined || refused !== undefined) return response
      const next = yield* cluster.token(token)
      if (next === undefined || Redacted.value(next) === Redacted.value(token)) return response
      yield* Effect.ignore(text(operation, response))
      return yield* open(operation, request, token)
    })
  const text = (operation: string, response: HttpClientResponse.HttpClientResponse): Effect.Effect<string, KubernetesError> =>
    response.stream.pipe(
      Stream.mapError((error) => failed(operation, transport(error))),
      Lines.text(maxReply, () => failed(operation, `a reply of more than ${maxReply} characters`))
    )
  const decode = <S extends Schema.Codec<unknown, unknown>>(operation: string, schema: S) => {
    const decode = Schema.decodeUnknownEffect(schema)
    return (value: unknown): Effect.Effect<S["Type"], KubernetesError> =>
      Effect.mapError(decode(value), (error) => failed(operation, `not what was expected: ${error.message.slice(0, 500)}`))
  }
  const json = (operation: string) => decode(operation, Schema.fromJsonString(Schema.Unknown))
  const item = <S extends Schema.Codec<unknown, unknown>>(operation: string, schema: S) => {
    const [head, whole] = [decode(operation, Metadata), decode(operation, schema)]
    return (object: unknown): Effect.Effect<{ readonly item: Item<S["Type"]>; readonly version: string }, KubernetesError> =>
      Effect.gen(function* () {
        const { metadata } = yield* head(object)
        return { item: { key: keyOf(metadata), value: yield* whole(object) }, version: metadata.resourceVersion ?? "" }
      })
  }

  const send = (operation: string, request: HttpClientRequest.HttpClientRequest) =>
    Effect.gen(function* () {
      for (let attempt = 1; ; attempt++) {
        const response = yield* open(operation, request)
        const reply = yield* text(operation, response)
        if (response.status >= 200 && response.status < 300) return yield* json(operation)(reply)
        const wait = Number(response.headers["retry-after"] ?? Number.NaN)
        const busy = (response.status === 429 || response.status === 503) && wait >= 0
        if (!busy || attempt >= MAX_ATTEMPTS) return yield* refusal(operation, response.status, reply)
        yield* Effect.sleep(Duration.seconds(Math.min(wait, MAX_WAIT_SECONDS) + (yield* Random.next) / 2))
      }
    }).pipe(within(operation))

  const call = <S extends Schema.Codec<unknown, unknown>>({ body, contentType, method, operation, path, query, schema }: Call<S>) => {
    const bare = HttpClientRequest.make(method)(path, { urlParams: query ?? {}, headers: { accept: "application/json" } })
    const request = body === undefined ? bare : HttpClientRequest.bodyText(bare, JSON.stringify(body), contentType ?? "application/json")
    return Effect.flatMap(send(operation, request), decode(operation, schema))
  }

  const selectors = ({ fieldSelector, labelSelector }: Resource<Schema.Codec<unknown, unknown>>) => ({
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector })
  })

  const list = <S extends Schema.Codec<unknown, unknown>>(resource: Resource<S>): Effect.Effect<Listing<S["Type"]>, KubernetesError> =>
    Effect.gen(function* () {
      const operation = `list ${resource.path}`
      const read = item(operation, resource.schema)
      for (let limit = PAGE; ; limit = 0) {
        const items: Array<Item<S["Type"]>> = []
        let next = ""
        for (let pages = 0; pages < MAX_PAGES; pages++) {
          const query = { ...selectors(resource), limit: String(limit), ...(next === "" ? {} : { continue: next }) }
          const page = yield* Effect.result(call({ operation, method: "GET", path: resource.path, query, schema: Page }))
          if (page._tag === "Failure") {
            // the state of the first page is gone: once more, in one piece
            if (page.failure.status === 410 && next !== "" && limit > 0) break
            return yield* page.failure
          }
          const { items: objects, metadata } = page.success
          for (const object of objects ?? []) items.push((yield* read(object)).item)
          next = metadata.continue ?? ""
          if (next === "") return { items, version: metadata.resourceVersion }
        }
        if (limit === 0) return yield* failed(operation, `more than ${MAX_PAGES} pages`)
      }
    })

  const watch = <S extends Schema.Codec<unknown, unknown>>(resource: Resource<S>, version: string) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const operation = `watch ${resource.path}`
        const read = item(operation, resource.schema)
        const parse = decode(operation, WatchEvent)
        const head = decode(operation, Metadata)
        const event = (line: string): Effect.Effect<Event<S["Type"]>, KubernetesError> =>
          Effect.gen(function* () {
            const { object, type } = yield* parse(line)
            if (type === "BOOKMARK") return { type, version: (yield* head(object)).metadata.resourceVersion ?? "" }
            if (type === "DELETED") {
              const { metadata } = yield* head(object)
              return { type, key: keyOf(metadata), version: metadata.resourceVersion ?? "" }
            }
            if (type === "ADDED" || type === "MODIFIED") return { type: "SET", ...(yield* read(object)) }
            return yield* refusal(operation, 500, JSON.stringify(object))
          })
        const seconds = yield* Random.nextIntBetween(...WATCH_SECONDS)
        const request = HttpClientRequest.get(resource.path, {
          urlParams: {
            ...selectors(resource),
            watch: "1",
            allowWatchBookmarks: "true",
            resourceVersion: version,
            timeoutSeconds: String(seconds)
          },
          headers: { accept: "application/json" }
        })
        const response = yield* within(operation)(open(operation, request))
        if (response.status !== 200) return yield* refusal(operation, response.status, yield* within(operation)(text(operation, response)))
        const events = response.stream.pipe(
          Stream.timeout(silence),
          Stream.mapError((error) => failed(operation, transport(error))),
          Lines.split(maxEvent, () => failed(operation, `an event of more than ${maxEvent} characters`)),
          Stream.mapEffect(event)
        )
        return Stream.concat(Stream.make<[Event<S["Type"]>]>({ type: "OPENED" }), events)
      })
    )

  return Kubernetes.of({ namespace: cluster.namespace, call, list, watch })
})

const keyOf = ({ name = "", namespace = "" }: (typeof Metadata.Type)["metadata"]): string => `${namespace}/${name}`

/** What a reply says that is no success: a `Status`, or a text of whatever stands before the server. */
const refusal = (operation: string, status: number, reply: string): KubernetesError => {
  const parsed = Schema.decodeUnknownResult(Schema.fromJsonString(Status))(reply)
  const said: typeof Status.Type = parsed._tag === "Success" ? parsed.success : { message: reply.trim() }
  return new KubernetesError({
    operation,
    status: said.code ?? status,
    reason: said.reason ?? "",
    message: `kubernetes: ${operation}: ${said.code ?? status} ${(said.message ?? "").slice(0, 500)}`
  })
}

/** Why there is no answer. The request, which has the token, is left out. */
const transport = ({ reason }: HttpClientError.HttpClientError): string => {
  const cause: unknown = "cause" in reason ? reason.cause : undefined
  return cause instanceof Error && cause.message !== "" ? cause.message : reason._tag
}

/** With the certificates of `cluster`, over connections of its own. */
export const layerCluster = (cluster: Cluster.Cluster, limits: Limits = {}): Layer.Layer<Kubernetes> => {
  const { ca, cert, insecure = false, key, serverName } = cluster.tls
  const agent = NodeHttpClient.layerAgentOptions({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: Redacted.value(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(insecure ? { rejectUnauthorized: false } : {})
  })
  return Layer.effect(Kubernetes, make(cluster, limits)).pipe(Layer.provide(NodeHttpClient.layerNodeHttpNoAgent), Layer.provide(agent))
}

export interface Options extends Limits {
  /** Default `Cluster.detect`. */
  readonly cluster?: Effect.Effect<Cluster.Cluster, KubernetesError, FileSystem.FileSystem | Path.Path> | undefined
}

/** The cluster that the program runs in, or that kubeconfig says. */
export const layer = (options: Options = {}): Layer.Layer<Kubernetes, KubernetesError> =>
  Layer.unwrap(Effect.map(options.cluster ?? Cluster.detect, (cluster) => layerCluster(cluster, options))).pipe(
    Layer.provide([NodeFileSystem.layer, NodePath.layer])
  )
