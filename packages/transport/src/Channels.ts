/**
 * The client's connections, shared by all clients of a program: one channel a target. Nodes come from the target
 * itself or from `Discovery`, whose changes are followed as long as the layer lives.
 */
import type { DescService } from "@bufbuild/protobuf"
import type { Scheme } from "@effect-kratos/core/Endpoint"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Channel from "./Channel.ts"
import * as ConnectionOptions from "./channel/ConnectionOptions.ts"
import type { NodeState } from "./channel/Connectivity.ts"
import * as Client from "./Client.ts"
import * as DeadlineTimers from "./DeadlineTimers.ts"
import type { Errors } from "./Errors.ts"
import { type Address, type ConnectOptions, Network } from "./Network.ts"
import * as Resolver from "./Resolver.ts"
import * as Target from "./Target.ts"
import * as Tls from "./Tls.ts"

export class Channels extends Context.Service<
  Channels,
  {
    /**
     * The channel of a target; the same for equal targets and the same TLS options. A target that cannot be parsed, or certificates that cannot be read,
     * give a channel whose calls fail.
     */
    readonly get: (target: string, tls?: Tls.ClientOptions) => Effect.Effect<Channel.Channel>
    /** What is known of the nodes of a target, now and after every change; as `get`, of the connections that its clients share. For health checks. */
    readonly connectivity: (target: string, tls?: Tls.ClientOptions) => Stream.Stream<ReadonlyArray<NodeState>>
    /** The nodes of a target that speak HTTP in clear text, as they change: for clients that make connections of their own. */
    readonly nodes: (target: string) => Resolver.Nodes
    /**
     * The methods of a service at a target by local name; `Service.client` gives them their types. It is asked for here so that a contract brings no
     * wires with it: browsers load contracts too.
     */
    readonly client: <R>(
      descriptor: DescService,
      errors: Errors,
      target: string,
      options?: Client.Options<R>
    ) => Effect.Effect<Readonly<Record<string, unknown>>, never, R>
  }
>()("@effect-kratos/transport/Channels") {}

/** Channels that resolve `discovery:///` through `Discovery`. */
export const layer: Layer.Layer<Channels, never, Discovery> = Layer.effect(
  Channels,
  Effect.flatMap(Discovery, (discovery) => make((target, scheme) => Resolver.resolve(target, scheme, discovery)))
)

/** Channels without a registry: `direct:///` and plain addresses only. */
export const layerDirect: Layer.Layer<Channels> = Layer.effect(
  Channels,
  Effect.suspend(() => make((target, scheme) => Resolver.resolve(target, scheme, undefined)))
)

/** Channels that lead every target to one address: for tests, whose clients then name their real targets. */
export const layerTo = (address: Address): Layer.Layer<Channels> =>
  Layer.effect(
    Channels,
    make(() => Resolver.fixed([address]))
  )

/** How the channels that are built with it make and keep their connections: `Channels.layer.pipe(Layer.provide(Channels.options({ … })))`. */
export const options = (options: ConnectionOptions.Options): Layer.Layer<never> => Layer.succeed(ConnectionOptions.Current, options)

/** What endpoints of a registry a protocol goes to. */
type Schemes = readonly [plain: Scheme, secure: Scheme]
const GRPC: Schemes = ["grpc", "grpcs"]
const HTTP: Schemes = ["http", "https"]

type Resolve = (target: Target.Target, scheme: Scheme) => Resolver.Nodes

/** Opens what calls to a target go through. */
type Open<A> = (target: string, nodes: Resolver.Nodes, tls: ConnectOptions["tls"]) => Effect.Effect<A, never, Scope.Scope>

const make = Effect.fnUntraced(function* (resolve: Resolve) {
  // they drain at the same time
  const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
  const connectionOptions = yield* ConnectionOptions.Current
  const network = yield* Network
  const timers = yield* DeadlineTimers.make
  // by which this client takes a part of a large fleet that is not every client's
  const key = String(yield* Random.nextInt)

  /** The same for equal targets and the same TLS options. */
  const shared = <A>([plain, encrypted]: Schemes, open: Open<A>) => {
    const known = new Map<Tls.ClientOptions | undefined, Map<string, A>>()
    const make = Effect.fnUntraced(function* (text: string, tls: Tls.ClientOptions | undefined) {
      const target = Target.parse(text)
      const secure = tls !== undefined || (target._tag === "Direct" && target.secure)
      const source = secure ? yield* Effect.result(Tls.load(tls ?? {})) : undefined
      if (source?._tag === "Failure") {
        const failure = KratosError.serviceUnavailable("TLS", source.failure.message, { cause: source.failure })
        return yield* open(text, Stream.fail(failure), undefined)
      }
      const all = resolve(target, secure ? encrypted : plain)
      const nodes = target._tag === "Discovery" ? Resolver.subset(all, key, ConnectionOptions.subsetOf(connectionOptions, text)) : all
      return yield* open(text, nodes, source && { source: source.success, serverName: tls?.serverName })
    })
    return (target: string, tls?: Tls.ClientOptions): Effect.Effect<A> =>
      Effect.suspend(() => {
        const made = known.get(tls)?.get(target)
        if (made !== undefined) return Effect.succeed(made)
        return make(target, tls).pipe(
          Scope.provide(scope),
          // that of these channels, wherever the client is built that asks first
          Effect.provideService(Network, network),
          Effect.provideService(ConnectionOptions.Current, connectionOptions),
          Effect.tap((made) => Effect.sync(() => known.set(tls, (known.get(tls) ?? new Map<string, A>()).set(target, made))))
        )
      })
  }
  const get = shared(GRPC, (target, nodes, tls) => Channel.make(target, nodes, timers, tls))
  // Loaded only by programs that call over HTTP/1.1.
  const nodes = yield* Effect.cached(
    Effect.map(
      Effect.promise(() => import("./rest/Nodes.ts")),
      (Nodes) => shared(HTTP, (target, nodes, tls) => Nodes.make(target, nodes, timers, tls))
    )
  )
  const rest = Effect.promise(() => import("./rest/Clients.ts"))
  const http1 = Effect.promise(() => import("./http/Http1Clients.ts"))
  return Channels.of({
    get,
    connectivity: (target, tls) => Stream.unwrap(Effect.map(get(target, tls), ({ connectivity }) => SubscriptionRef.changes(connectivity))),
    nodes: (target) => resolve(Target.parse(target), "http"),
    client: (descriptor, errors, target, options) =>
      options?.protocol === "rest" || options?.http === "1.1"
        ? Effect.gen(function* () {
            const { make } = options.protocol === "rest" ? yield* rest : yield* http1
            return yield* make(yield* (yield* nodes)(target, options.tls), descriptor, errors, options)
          })
        : Effect.flatMap(get(target, options?.tls), (channel) => Client.make(channel, descriptor, errors, options))
  })
})
