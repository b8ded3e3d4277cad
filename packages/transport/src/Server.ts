/**
 * All services of a program on one port: HTTP/2 and HTTP/1.1 are told apart by the first bytes, gRPC, gRPC-Web, Connect and the rest by content type
 * and path.
 *
 * Building the layer binds and serves; closing its scope stops accepting, sends GOAWAY, waits for calls in flight up to `drainTimeout` and then
 * closes what is left. Readiness and registration belong to `App`, which is built after the servers and closed before them.
 */
import { createRegistry, type DescMethod } from "@bufbuild/protobuf"
import { CpuUsage } from "@effect-kratos/aegis/CpuUsage"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Endpoint from "@effect-kratos/core/Endpoint"
import { AppInfo, Lifecycle } from "@effect-kratos/core/Lifecycle"
import type { Options as Http2Options } from "@effect-kratos/http2/Limits"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type * as HttpRouter from "effect/http/HttpRouter"
import type { Codec } from "./codec/Codec.ts"
import * as Codecs from "./codec/Codecs.ts"
import * as ConnectServer from "./connect/Server.ts"
import type * as ConnectionLife from "./ConnectionLife.ts"
import * as DeadlineTimers from "./DeadlineTimers.ts"
import * as GrpcWebServer from "./grpc-web/Server.ts"
import * as GrpcServer from "./grpc/Server.ts"
import * as Health from "./Health.ts"
import * as HostAddress from "./HostAddress.ts"
import * as Compression from "./http/Compression.ts"
import * as Cors from "./http/Cors.ts"
import * as Forwarded from "./http/Forwarded.ts"
import * as HttpError from "./http/HttpError.ts"
import type { HttpExchange } from "./http/HttpExchange.ts"
import * as RequestId from "./http/RequestId.ts"
import * as Implementation from "./Implementation.ts"
import { goingAway, type InFlight } from "./InFlight.ts"
import * as Listener from "./Listener.ts"
import * as MessageCodec from "./MessageCodec.ts"
import type { Address } from "./Network.ts"
import type { ListenError } from "./NetworkError.ts"
import type * as Tls from "./Tls.ts"
import type { TlsError } from "./Tls.ts"
import * as Mcp from "./mcp/Serve.ts"
import * as MetricsPage from "./MetricsPage.ts"
import * as OpenApi from "./openapi/Serve.ts"
import * as Operation from "./Operation.ts"
import type { Origin } from "./Origin.ts"
import * as Reflection from "./reflection/Reflection.ts"
import * as RestServer from "./rest/Server.ts"
import type { RestRuleError } from "./rest/RestRuleError.ts"
import type * as Service from "./Service.ts"

export interface Options<Services extends ReadonlyArray<Service.Any>, AspectR = never, RoutesE = never, RoutesR = never>
  extends ConnectionLife.Options {
  /** The services to serve; their implementations come from the context. */
  readonly services: Services
  /** Default 8000; 0 takes a free port. */
  readonly port?: number | undefined
  /** Address to bind, default `0.0.0.0`. */
  readonly host?: string | undefined
  /** The host under which others reach this server, for registries. Default: `host`, or the address of the first interface that is not loopback. */
  readonly advertise?: string | undefined
  /** Wrapped around every call of every service. Health checks are not calls. */
  readonly aspects?: Aspect.Aspect<unknown, AspectR> | undefined
  /** A user's own routes, served where no service has one. */
  readonly routes?: Layer.Layer<never, RoutesE, RoutesR> | undefined
  /** Longest request message of gRPC, gRPC-Web and Connect, in bytes after decompression. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** Largest HTTP request body, in bytes, those of a user's own routes included. Default 4 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** How long calls in flight may go on when the server stops; what is left then ends with 503 `GOING_AWAY`. Default 10 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** The same for streams, which often have no end of their own. WebSockets are closed with 1001. Default 5 seconds. */
  readonly streamGrace?: Duration.Input | undefined
  /** Serve `grpc.health.v1.Health`, `/livez` and `/readyz`. Default true. */
  readonly health?: boolean | undefined
  /** Tell the contract to whoever asks, by `grpc.reflection.v1.ServerReflection` and `v1alpha`. Default true. */
  readonly reflection?: boolean | undefined
  /** Serve an OpenAPI document at `/openapi.json` and a page that shows it at `/docs`; `false` serves neither. */
  readonly openapi?: false | OpenApi.Options | undefined
  /** Serve the program's metrics to Prometheus at `/metrics`, in clear to whoever reaches the port. Default off. */
  readonly metrics?: boolean | MetricsPage.Options | undefined
  /** Offer methods to language models as tools, by the Model Context Protocol at `/mcp`. Default off. */
  readonly mcp?: boolean | Mcp.Options | undefined
  /** Speaks TLS on the port: HTTP/2 and HTTP/1.1 by ALPN, clients' certificates on request. */
  readonly tls?: Tls.ServerOptions | undefined
  /**
   * Path of a Unix socket to listen on besides the port, in clear text. A file that a dead process has left is replaced; one on which somebody listens is
   * a `ListenError`.
   */
  readonly unix?: string | undefined
  /** Permissions of that socket, such as `0o660`. Default: what the umask leaves. */
  readonly unixMode?: number | undefined
  /** Connections that the system holds until they are accepted. Default 511. */
  readonly backlog?: number | undefined
  /** Connections at a time, handshakes included. More wait, unread, until one ends; those above `backlog` are closed. Default 10,000. */
  readonly maxConnections?: number | undefined
  /** Shares the port with other processes that ask for it, too (SO_REUSEPORT); a `ListenError` where the platform cannot. Default false. */
  readonly reusePort?: boolean | undefined
  /** Lets pages of other origins call the services and routes from browsers. Default: not. */
  readonly cors?: Cors.Options | undefined
  /** Origins whose pages may open WebSockets, besides the server's own; `"*"` for all. Default: those that `cors` lists. */
  readonly webSocketOrigins?: ReadonlyArray<string> | "*" | undefined
  /** What `application/json` is in REST: protobuf's JSON, or `std` for hand-written clients of Kratos v3. Default `protojson`. */
  readonly json?: "protojson" | "std" | undefined
  /** More formats of REST bodies; a media type that they name is theirs, also where it was ours. */
  readonly codecs?: ReadonlyArray<Codec> | undefined
  /** Compresses replies of REST that are worth it, and reads compressed requests; `false` does neither. Default: with all that Node has. */
  readonly compression?: false | Compression.Options | undefined
  /** The proxies in front of this server, whose word counts on where a request came from: `Call.peer`, scheme and host. Default: none is trusted. */
  readonly trustProxy?: false | Forwarded.Proxies | Forwarded.Options | undefined
  /** Names for requests, in `x-request-id` of requests and replies; `false` for none. Default: as `RequestId.Options` say. */
  readonly requestId?: false | RequestId.Options | undefined
  /** Limits of the HTTP/2 engine. What they say of keep-alive and idle connections counts more than the options here. */
  readonly http2?: Http2Options | undefined
}

export class Server extends Context.Service<
  Server,
  {
    /** Where it listens, with the port that was bound. */
    readonly address: Address
    /** What registries are told. */
    readonly endpoints: ReadonlyArray<Endpoint.Endpoint>
  }
>()("@effect-kratos/transport/Server") {}

/** Serves `services`. Fails when the port cannot be bound or an HTTP rule of a service does not fit its messages. */
export const layer = <const Services extends ReadonlyArray<Service.Any>, AspectR = never, RoutesE = never, RoutesR = never>(
  options: Options<Services, AspectR, RoutesE, RoutesR>
): Layer.Layer<
  Server | Lifecycle,
  ListenError | TlsError | RestRuleError | Forwarded.TrustProxyError | HttpRouter.Request.Without<RoutesE>,
  Service.Tags<Services> | AspectR | Exclude<HttpRouter.Request.Without<RoutesR>, HttpRouter.HttpRouter | Scope.Scope>
> =>
  // `make` reads the services from the context by their keys; the signature above says which they are
  Layer.effect(Server, make(options as unknown as AnyOptions)).pipe(Layer.provideMerge(Lifecycle.layer)) as never

/** How long a stopping server waits for the handlers that it has interrupted. */
const INTERRUPTION = "5 seconds"

type AnyOptions = Options<ReadonlyArray<Service.Any>, never, never, never>

const make = Effect.fnUntraced(function* (options: AnyOptions) {
  const { health = true, host = "0.0.0.0", maxBodyBytes = 4_194_304, maxMessageBytes = 4_194_304, port = 8000 } = options
  const lifecycle = yield* Lifecycle
  const timers = yield* DeadlineTimers.make
  const ambient = yield* Effect.context<never>()
  const fork = Effect.runForkWith(ambient)
  const base = withScheduler(ambient)
  let services = base
  yield* lifecycle.onInfo((info) => (services = Context.add(base, AppInfo, info)))

  const running = new Set<InFlight>()
  const compile: Operation.Options = { aspects: options.aspects ?? Aspect.identity, timers, services: () => services, running }
  const operations = new Map<string, Operation.Operation>()
  const add = (service: Service.Any, implementation: Implementation.Implementation, how: Operation.Options) => {
    for (const method of service.descriptor.methods) {
      const operation = Operation.make(method, implementation, how)
      if (operation !== undefined) operations.set(operation.method.operation, operation)
    }
  }
  for (const service of options.services) {
    // the layer's type requires each tag
    const value = Context.getUnsafe(ambient, Context.Service<never, object>(service.key))
    add(service, Implementation.of(service.descriptor, value), compile)
  }
  const report = (message: string, cause: unknown): void => void fork(Effect.logError(message, cause))
  const closing = yield* Latch.make()
  const restCodecs = Codecs.of({ json: options.json, codecs: options.codecs })
  const rest = yield* RestServer.make([...operations.values()], {
    maxBodyBytes,
    codecs: restCodecs,
    compression: options.compression === false ? Compression.none : Compression.make(options.compression),
    timers,
    report,
    origins: options.webSocketOrigins ?? corsOrigins(options.cors)
  })
  if (health) {
    const implementation = yield* Health.make(
      options.services.map((service) => service.descriptor.typeName),
      closing.await
    )
    add(Health.Health, implementation, { ...compile, aspects: Aspect.identity })
  }
  if (options.reflection !== false) {
    const served = [
      ...options.services.map((service) => service.descriptor),
      ...(health ? [Health.Health.descriptor] : []),
      ...Reflection.services
    ]
    for (const [descriptor, implementation] of Reflection.make(served, closing.await)) {
      add({ key: descriptor.typeName, descriptor, errors: [] }, implementation, { ...compile, aspects: Aspect.identity })
    }
  }
  // Loaded only for those who have routes: Effect's router is as much code as the rest of a small server.
  const routes =
    options.routes === undefined
      ? undefined
      : yield* (yield* Effect.promise(() => import("./Routes.ts"))).make(options.routes, { maxBodyBytes, report })
  const probes = health ? yield* Health.probes : undefined
  const openapi = options.openapi === false ? undefined : yield* OpenApi.make(options.services, options.openapi ?? {}, report)
  const { metrics } = options
  const page = metrics === undefined || metrics === false ? undefined : MetricsPage.make(ambient, metrics === true ? {} : metrics)
  const mcp =
    options.mcp === undefined || options.mcp === false
      ? undefined
      : yield* Mcp.make(
          { services: options.services, operation: (path) => operations.get(path), maxBodyBytes, now: timers.now, report },
          options.mcp === true ? {} : options.mcp
        )

  const grpc: GrpcServer.GrpcServer = {
    operation: (path) => operations.get(path),
    codec: codecs(options.services),
    now: timers.now,
    maxMessageBytes,
    report
  }
  const cors = options.cors === undefined ? undefined : Cors.make(options.cors)
  const { trustProxy } = options
  const forwarded = trustProxy === undefined || trustProxy === false ? undefined : yield* Effect.fromResult(Forwarded.make(trustProxy))
  const requestIds = options.requestId === false ? undefined : RequestId.make(options.requestId ?? {}, yield* Random.Random)
  const identify = (exchange: HttpExchange): void => {
    if (forwarded === undefined && requestIds === undefined) return
    const { fields, origin } = exchange
    const found = forwarded?.(origin, fields) ?? origin
    const requestId = requestIds === undefined ? undefined : (requestIds.given(fields) ?? requestIds.create())
    exchange.setOrigin(requestId === undefined ? found : { ...found, requestId })
    if (requestId !== undefined) exchange.addFields([[requestId.header, requestId.value]])
  }
  const originOf = (origin: Origin, fields: ReadonlyArray<string>): Origin => {
    const found = forwarded?.(origin, fields) ?? origin
    const requestId = requestIds?.given(fields)
    return requestId === undefined ? found : { ...found, requestId }
  }
  const http = (exchange: HttpExchange): void => {
    identify(exchange)
    if (
      cors?.(exchange) === true ||
      probes?.(exchange) === true ||
      openapi?.(exchange) === true ||
      page?.(exchange) === true ||
      mcp?.(exchange) === true
    )
      return
    if (GrpcWebServer.serve(grpc, exchange) || ConnectServer.serve(grpc, exchange) || rest.serve(exchange)) return
    if (routes !== undefined) return routes.serve(exchange)
    RestServer.respondError(exchange, HttpError.notFound(exchange.target), [], restCodecs)
  }
  const leave = (which: "streams" | "all"): number => {
    routes?.leave()
    let ended = 0
    for (const call of running) {
      if (which === "streams" && !call.isStream) continue
      ended++
      call.end(goingAway())
    }
    return ended
  }
  // Runs after the drain: what handlers do on their way out still finds the services that they need.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => Fiber.awaitAll(Array.from(running, ({ fiber }) => fiber))).pipe(
      Effect.timeoutOrElse({
        duration: INTERRUPTION,
        orElse: () => Effect.logWarning(`${running.size} interrupted calls have not ended after ${INTERRUPTION}`)
      })
    )
  )
  const address = yield* Listener.serve(
    { grpc, http, whole: rest.isWhole },
    {
      ...options,
      host,
      port,
      life: options,
      timers,
      originOf,
      leave,
      onStep: lifecycle.enter
    }
  )
  // runs before the drain that `serve` has put below it
  yield* Effect.addFinalizer(() => closing.open)
  const advertised = options.advertise ?? HostAddress.advertised(host)
  const secure = options.tls !== undefined
  const endpoints = [
    Endpoint.make(secure ? "https" : "http", advertised, address.port),
    Endpoint.make(secure ? "grpcs" : "grpc", advertised, address.port)
  ]
  for (const endpoint of endpoints) yield* lifecycle.announce(endpoint)
  return Server.of({ address, endpoints })
})

/** A WebSocket carries cookies whatever CORS says, so "all" has to be said for it apart. */
const corsOrigins = (cors: Cors.Options | undefined): ReadonlyArray<string> =>
  cors === undefined || cors.origins === "*" ? [] : cors.origins

/** Codecs of each method, made when a method is first called in a format. */
/** Where the event loop is measured, calls are run so that its turns stay short. */
const withScheduler = (ambient: Context.Context<never>): Context.Context<never> => {
  const usage = Context.getOption(ambient, CpuUsage)
  const scheduler = Option.isSome(usage) ? usage.value.loop?.scheduler : undefined
  return scheduler === undefined ? ambient : Context.add(ambient, Scheduler.Scheduler, scheduler)
}

const codecs = (services: ReadonlyArray<Service.Any>): GrpcServer.GrpcServer["codec"] => {
  const registry = createRegistry(...services.map((service) => service.descriptor.file))
  const made = { proto: new Map<DescMethod, Pair>(), json: new Map<DescMethod, Pair>() }
  return ({ desc }, json) => {
    const cache = json ? made.json : made.proto
    let pair = cache.get(desc)
    if (pair === undefined) {
      const one = (schema: DescMethod["input"]) => (json ? MessageCodec.json(schema, registry) : MessageCodec.proto(schema))
      cache.set(desc, (pair = { input: one(desc.input), output: one(desc.output) }))
    }
    return pair
  }
}

interface Pair {
  readonly input: MessageCodec.MessageCodec
  readonly output: MessageCodec.MessageCodec
}
