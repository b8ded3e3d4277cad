/** Consul's HTTP API, as far as a registry and a source of config need it: the agent, health, and the key-value store with blocking queries. */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { ConsulError } from "./ConsulError.ts"

export interface Options {
  /** The agent: `http://127.0.0.1:8500`, or `host:port` alone. */
  readonly address: string
  /** The ACL token. */
  readonly token?: Redacted.Redacted | undefined
  /** For one call; a blocking query has its waiting time besides. Default 10 seconds, as Kratos. */
  readonly timeout?: Duration.Input | undefined
}

/** What an index of Consul says: unchanged, and a blocking query with it waits. */
export interface Indexed<out A> {
  readonly value: A
  readonly index: bigint
}

export interface Query {
  readonly datacenter?: string | undefined
  /** Waits until something has changed since this index, or for `wait`. */
  readonly index?: bigint | undefined
}

export class Consul extends Context.Service<
  Consul,
  {
    /** A body that is text goes as it is, anything else as JSON. */
    readonly put: (operation: string, path: string, body?: unknown) => Effect.Effect<void, ConsulError>
    /** 404 is `undefined`. */
    readonly get: <S extends Schema.Codec<unknown, unknown>>(
      operation: string,
      path: string,
      schema: S,
      query?: Query
    ) => Effect.Effect<Indexed<S["Type"] | undefined>, ConsulError>
    readonly remove: (operation: string, path: string) => Effect.Effect<void, ConsulError>
  }
>()("@effect-kratos/contrib-consul/Consul") {}

/** How long a blocking query may wait; Consul adds up to a sixteenth. As Kratos. */
const WAIT_SECONDS = 55
/** Calls at once, blocking queries aside: an agent takes 200 connections of one client. */
const MAX_CALLS = 64
/** Longest reply, in bytes. */
const MAX_REPLY = 64 * 1024 * 1024

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Consul["Service"], never, HttpClient.HttpClient> {
  const { address, timeout = "10 seconds", token } = options
  const base = (/^https?:\/\//.test(address) ? address : `http://${address}`).replace(/\/+$/, "")
  const limit = Duration.toMillis(Duration.fromInputUnsafe(timeout))
  const http = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest((request) => {
      const to = HttpClientRequest.prependUrl(request, base)
      return token === undefined ? to : HttpClientRequest.setHeader(to, "x-consul-token", Redacted.value(token))
    })
  )

  const room = yield* Semaphore.make(MAX_CALLS)
  const send = (operation: string, request: HttpClientRequest.HttpClientRequest, patience: number) =>
    Effect.gen(function* () {
      const response = yield* http.execute(request)
      const length = Number(response.headers["content-length"] ?? 0)
      if (length > MAX_REPLY) return yield* new ConsulError({ operation, status: response.status, message: `a reply of ${length} bytes` })
      return { status: response.status, index: response.headers["x-consul-index"], text: yield* response.text }
    }).pipe(
      // a fleet's heartbeats are nobody's trace
      Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () =>
          Effect.fail(
            new ConsulError({
              operation,
              status: 0,
              message: `consul: ${operation}: no answer within ${Duration.format(Duration.millis(patience))}`
            })
          )
      }),
      Effect.mapError((error) =>
        error instanceof ConsulError ? error : new ConsulError({ operation, status: 0, message: `consul: ${operation}: ${error.message}` })
      )
    )
  const refused = (operation: string, { status, text }: { readonly status: number; readonly text: string }) =>
    new ConsulError({ operation, status, message: `consul: ${operation}: ${status} ${text.trim().slice(0, 500)}` })
  const expectOk = (operation: string, request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(room.withPermit(send(operation, request, limit)), (reply) =>
      reply.status === 200 ? Effect.void : Effect.fail(refused(operation, reply))
    )

  return Consul.of({
    put: (operation, path, body) => {
      const request = HttpClientRequest.put(path)
      if (body === undefined) return expectOk(operation, request)
      return expectOk(
        operation,
        typeof body === "string" ? HttpClientRequest.bodyText(request, body) : HttpClientRequest.bodyJsonUnsafe(request, body)
      )
    },
    remove: (operation, path) => expectOk(operation, HttpClientRequest.delete(path)),
    get: (operation, path, schema, query = {}) => {
      const { datacenter, index } = query
      const request = HttpClientRequest.get(path, {
        urlParams: {
          ...(datacenter === undefined ? {} : { dc: datacenter }),
          ...(index === undefined ? {} : { index: String(index), wait: `${WAIT_SECONDS}s` })
        }
      })
      const patience = index === undefined ? limit : limit + WAIT_SECONDS * 1000 * (1 + 1 / 16)
      return Effect.gen(function* () {
        const sent = send(operation, request, patience)
        const reply = yield* index === undefined ? room.withPermit(sent) : sent
        // an index that is absent or 0 would make the next query return at once
        const next = /^\d+$/.test(reply.index ?? "") ? BigInt(reply.index!) : 0n
        const indexed = <A>(value: A): Indexed<A> => ({ value, index: next > 0n ? next : 1n })
        if (reply.status === 404) return indexed(undefined)
        if (reply.status !== 200) return yield* refused(operation, reply)
        const value = yield* Effect.mapError(
          Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(reply.text),
          (error) => new ConsulError({ operation, status: 200, message: `consul: ${operation}: ${error.message}` })
        )
        return indexed(value)
      })
    }
  })
})

/** Between two blocking queries: a list of a thousand instances that come one by one is not read a thousand times. */
const pause = Duration.millis(100)

/** What blocking queries tell, for ever. `read` asks with the index that it is given. */
export const follow = <A, E>(read: (index: bigint | undefined) => Effect.Effect<Indexed<A>, E>): Stream.Stream<A, E> =>
  Stream.unfold<bigint | undefined, A, E, never>(undefined, (index) =>
    Effect.gen(function* () {
      if (index !== undefined) yield* Effect.sleep(pause)
      const reply = yield* read(index)
      // an index that went back says that the servers have started anew
      return [reply.value, index !== undefined && reply.index < index ? undefined : reply.index] as const
    })
  )

/** On an `HttpClient` of your own, for TLS with certificates or a proxy for example. */
export const layerHttp = (options: Options): Layer.Layer<Consul, never, HttpClient.HttpClient> => Layer.effect(Consul, make(options))

export const layer = (options: Options): Layer.Layer<Consul> => Layer.provide(layerHttp(options), FetchHttpClient.layer)

export const layerConfig = (config: Config.Wrap<Options>): Layer.Layer<Consul, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))
