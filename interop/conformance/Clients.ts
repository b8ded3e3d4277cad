/** The clients of a run: one for each configuration of a server, all over the same channels, so that calls share connections as in any program. */
import { Call } from "@effect-kratos/core/Call"
import type * as Aspect from "@effect-kratos/core/Aspect"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Channels from "@effect-kratos/transport/Channels"
import type * as Client from "@effect-kratos/transport/Client"
import type * as Tls from "@effect-kratos/transport/Tls"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Codec, Compression, HTTPVersion, Protocol } from "./gen/connectrpc/conformance/v1/config_pb.ts"
import type { ClientCompatRequest } from "./gen/connectrpc/conformance/v1/client_compat_pb.ts"
import { ConformanceService } from "./gen/connectrpc/conformance/v1/service_effect.ts"
import type { Header } from "./gen/connectrpc/conformance/v1/service_pb.ts"

/** The metadata of one call, sent and received. */
export interface Exchanged {
  readonly headers: ReadonlyArray<Header>
  reply: Metadata.Metadata
  trailers: Metadata.Metadata
}

/** Of the call that a fiber makes. */
export const Current = Context.Reference<Exchanged | undefined>("interop/conformance/Exchanged", { defaultValue: () => undefined })

/** Sends and takes down the metadata of a call, whatever becomes of it. */
const exchanging: Aspect.Aspect = (call) =>
  Effect.withFiber((fiber) => {
    const exchanged = Context.get(fiber.context, Current)
    const made = Context.getUnsafe(fiber.context, Call)
    if (exchanged === undefined) return call
    for (const { name, value } of exchanged.headers) for (const each of value) Metadata.add(made.request, name, each)
    return Effect.onExit(call, () =>
      Effect.sync(() => {
        exchanged.reply = made.reply
        exchanged.trailers = made.trailers
      })
    )
  })

const protocols = new Map<Protocol, Client.Options["protocol"]>([
  [Protocol.CONNECT, "connect"],
  [Protocol.GRPC, "grpc"],
  [Protocol.GRPC_WEB, "grpc-web"]
])

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

const tlsOf = ({ clientTlsCreds, serverTlsCert }: ClientCompatRequest): Tls.ClientOptions | undefined =>
  serverTlsCert.length === 0
    ? undefined
    : {
        ca: Redacted.make(text(serverTlsCert)),
        ...(clientTlsCreds === undefined
          ? undefined
          : { cert: Redacted.make(text(clientTlsCreds.cert)), key: Redacted.make(text(clientTlsCreds.key)) })
      }

const optionsOf = (request: ClientCompatRequest, tls: Tls.ClientOptions | undefined): Client.Options => ({
  aspects: exchanging,
  protocol: protocols.get(request.protocol),
  codec: request.codec === Codec.JSON ? "json" : "proto",
  http: request.httpVersion === HTTPVersion.HTTP_VERSION_1 ? "1.1" : "2",
  compression: request.compression === Compression.GZIP ? "gzip" : undefined,
  useGet: request.useGetHttpMethod,
  maxMessageBytes: request.messageReceiveLimit === 0 ? undefined : request.messageReceiveLimit,
  tls
})

/** The client for a request, made when it is first asked for. */
export const make = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const channels = yield* Layer.buildWithScope(Channels.layerDirect, scope)
  const made = new Map<string, Effect.Effect<(typeof ConformanceService)["Service"]>>()
  // clients share connections when they have the same options of TLS
  const materials = new Map<string, Tls.ClientOptions | undefined>()
  return (request: ClientCompatRequest): Effect.Effect<(typeof ConformanceService)["Service"]> => {
    const { clientTlsCreds, codec, compression, host, httpVersion, messageReceiveLimit, port, protocol, serverTlsCert, useGetHttpMethod } =
      request
    const material = text(serverTlsCert) + text(clientTlsCreds?.cert ?? new Uint8Array(0))
    if (!materials.has(material)) materials.set(material, tlsOf(request))
    const target = `direct:///${host}:${port}`
    const key = JSON.stringify([target, material, httpVersion, protocol, codec, compression, messageReceiveLimit, useGetHttpMethod])
    let client = made.get(key)
    if (client === undefined) {
      const layer = Layer.fresh(ConformanceService.client(target, optionsOf(request, materials.get(material))))
      client = Effect.runSync(
        Effect.cached(Effect.map(Layer.buildWithScope(layer, scope), Context.get(ConformanceService)).pipe(Effect.provideContext(channels)))
      )
      made.set(key, client)
    }
    return client
  }
})
