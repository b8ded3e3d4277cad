/**
 * The client's connections, shared by all clients of a program: one channel a target, one connection a node. Nodes come from the target
 * itself or from `Discovery`, whose changes are followed as long as the layer lives.
 */
import type { DescService } from "@bufbuild/protobuf"
import * as Endpoint from "@effect-kratos/core/Endpoint"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Discovery } from "@effect-kratos/core/registry/Discovery"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Channel from "./Channel.ts"
import * as Client from "./Client.ts"
import * as DeadlineTimers from "./DeadlineTimers.ts"
import type { Errors } from "./Errors.ts"
import { type Address, Network } from "./Network.ts"
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
  Effect.flatMap(Discovery, (discovery) => make((target, secure) => resolve(target, secure, discovery)))
)

/** Channels without a registry: `direct:///` and plain addresses only. */
export const layerDirect: Layer.Layer<Channels> = Layer.effect(
  Channels,
  Effect.suspend(() => make((target, secure) => resolve(target, secure, undefined)))
)

/** Channels that lead every target to one address: for tests, whose clients then name their real targets. */
export const layerTo = (address: Address): Layer.Layer<Channels> =>
  Layer.effect(
    Channels,
    make(() => nodes([address]))
  )

const make = Effect.fnUntraced(function* (resolve: (target: Target.Target, secure: boolean) => Channel.Nodes) {
  const scope = yield* Effect.scope
  const network = yield* Network
  const timers = yield* DeadlineTimers.make
  const channels = new Map<Tls.ClientOptions | undefined, Map<string, Channel.Channel>>()
  const open = Effect.fnUntraced(function* (text: string, tls: Tls.ClientOptions | undefined) {
    const target = Target.parse(text)
    const secure = tls !== undefined || (target._tag === "Direct" && target.secure)
    const source = secure ? yield* Effect.result(Tls.load(tls ?? {})) : undefined
    if (source?._tag === "Failure") {
      return yield* Channel.make(
        text,
        Stream.fail(KratosError.serviceUnavailable("TLS", source.failure.message, { cause: source.failure })),
        timers
      )
    }
    return yield* Channel.make(text, resolve(target, secure), timers, source && { source: source.success, serverName: tls?.serverName })
  })
  const get: Channels["Service"]["get"] = (target, tls) =>
    Effect.suspend(() => {
      const known = channels.get(tls)?.get(target)
      if (known !== undefined) return Effect.succeed(known)
      return open(target, tls).pipe(
        Scope.provide(scope),
        // that of these channels, wherever the client is built that asks first
        Effect.provideService(Network, network),
        Effect.tap((channel) => Effect.sync(() => channels.set(tls, (channels.get(tls) ?? new Map()).set(target, channel))))
      )
    })
  return Channels.of({
    get,
    client: (descriptor, errors, target, options) =>
      Effect.flatMap(get(target, options?.tls), (channel) => Client.make(channel, descriptor, errors, options))
  })
})

const nodes = (addresses: ReadonlyArray<Address>): Channel.Nodes => Stream.succeed(addresses)

const resolve = (target: Target.Target, secure: boolean, discovery: Discovery["Service"] | undefined): Channel.Nodes => {
  switch (target._tag) {
    case "Direct":
      return nodes(target.addresses)
    case "Invalid":
      return Stream.fail(KratosError.badRequest("TARGET", target.message))
    case "Discovery":
      return discovery === undefined
        ? Stream.fail(
            KratosError.badRequest(
              "TARGET",
              `discovery:///${target.name} needs Channels.layer with a Discovery; Channels.layerDirect has none`
            )
          )
        : watch(target.name, secure ? "grpcs" : "grpc", discovery)
  }
}

/** The gRPC endpoints of a service, as they change. A registry that fails is asked again a second later; what was known stays. */
const watch = (name: string, scheme: Endpoint.Scheme, discovery: Discovery["Service"]): Channel.Nodes =>
  discovery.watch(name).pipe(
    Stream.tapError((error) => Effect.logWarning(`discovery of ${name} failed, trying again`, error)),
    Stream.retry(Schedule.spaced("1 second")),
    Stream.mapError((cause) => KratosError.serviceUnavailable("NODE_NOT_FOUND", `discovery of ${name} failed`, { cause })), // the schedule does not end
    Stream.map((instances) =>
      instances.flatMap(({ endpoints }) => {
        const endpoint = endpoints.map(Endpoint.parse).find((parsed) => Option.isSome(parsed) && parsed.value.scheme === scheme)
        return endpoint === undefined || Option.isNone(endpoint) ? [] : [endpoint.value]
      })
    )
  )
