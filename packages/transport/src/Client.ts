/**
 * The client's methods of a service, over whatever protocol and version of HTTP. A failure arrives as the class of its reason when the contract declares it,
 * else as `KratosError`; interrupting a call breaks off its request, which interrupts the server's handler.
 */
import { createRegistry, type DescMessage, type DescMethod, type DescService } from "@bufbuild/protobuf"
import type * as Aspect from "@effect-kratos/core/Aspect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Effect from "effect/Effect"
import type { Channel } from "./Channel.ts"
import * as ClientPolicy from "./ClientPolicy.ts"
import * as ClientMethods from "./ClientMethods.ts"
import type { ClientProtocol, MethodOptions } from "./ClientProtocol.ts"
import * as ClientRoute from "./ClientRoute.ts"
import * as ConnectClient from "./connect/Client.ts"
import * as GrpcWebClient from "./grpc-web/Client.ts"
import * as GrpcClient from "./grpc/Client.ts"
import * as Invocation from "./grpc/Invocation.ts"
import * as MessageCodec from "./MessageCodec.ts"
import type * as Tls from "./Tls.ts"
import { type Errors, errorsOf } from "./Errors.ts"
import type { Dialect } from "./rest/Dialect.ts"

export interface Options<R = never> {
  /** Wrapped around every call; its errors must be such as every caller can expect. */
  readonly aspects?: Aspect.Aspect<KratosError.KratosError, R> | undefined
  /**
   * How calls are made, as data in the form of gRPC's service config: timeouts, retries, hedges, breakers, limits of messages. Default: none of these. Inside of
   * `aspects`, which so see calls and not attempts. A `SubscriptionRef` may change while the client is used.
   */
  readonly policy?: ClientPolicy.Source | undefined
  /** Inside of `policy`: wrapped around every attempt of a call. */
  readonly attemptAspects?: Aspect.Aspect<KratosError.KratosError, R> | undefined
  /** Longest reply message, in bytes after decompression. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** Compresses request messages. Default: not. Connect has no deflate and sends gzip instead. Compressed replies are read in any case. */
  readonly compression?: "gzip" | "deflate" | undefined
  /** The wire. Default gRPC. REST goes over HTTP/1.1, by the HTTP rules of the contract; `discovery:///` then takes the instances' `http` endpoints. */
  readonly protocol?: "grpc" | "grpc-web" | "connect" | "rest" | undefined
  /** How gRPC, gRPC-Web and Connect write messages, which they then read as well: binary or the JSON of protobuf. Default `proto`. */
  readonly codec?: MessageCodec.Format | undefined
  /**
   * The version of HTTP for gRPC-Web and Connect. Default `2`; with `1.1` each call has a connection for itself as long as it lasts, and `discovery:///` takes
   * the instances' `http` endpoints. gRPC needs 2: its calls fail with UNIMPLEMENTED over 1.1.
   */
  readonly http?: "1.1" | "2" | undefined
  /** Connect calls methods that are declared without side effects by GET, so that replies may be cached on their way. Default false. */
  readonly useGet?: boolean | undefined
  /** How REST writes messages: as servers of Kratos v3 or v2 read them, or as both do, in binary. Ours read all. Default `v3`. */
  readonly dialect?: Dialect | undefined
  /**
   * Calls wait when no node can be reached, until one can or their deadline passes. Default false: they fail with the error of the last attempt. Not over
   * HTTP/1.1, where calls are made at once or fail.
   */
  readonly waitForReady?: boolean | undefined
  /** Speaks TLS; `discovery:///` then takes the instances' secure endpoints. Give the same object to clients that shall share connections. */
  readonly tls?: Tls.ClientOptions | undefined
}

/** The methods of a service by local name, called over a channel, for `Service.make` to type. */
export const make = <R>(
  channel: Channel,
  descriptor: DescService,
  errors: Errors,
  options: Options<R> = {}
): Effect.Effect<Readonly<Record<string, unknown>>, never, R> => over(channel, ClientRoute.http2, descriptor, errors, options)

/** The same over a route of any version of HTTP. */
export const over = <Head, R>(
  channel: ClientRoute.ClientRoute<Head>,
  headForm: ClientRoute.HeadForm<Head>,
  descriptor: DescService,
  errors: Errors,
  options: Options<R>
): Effect.Effect<Readonly<Record<string, unknown>>, never, R> => {
  const codec = codecOf(descriptor, options.codec ?? "proto")
  return ClientMethods.make(descriptor, {
    target: channel.target,
    aspects: options.aspects,
    attemptAspects: options.attemptAspects,
    policy: options.policy === undefined ? undefined : ClientPolicy.make(options.policy, channel),
    wire: (method, limits) => wire(method, errorsOf(errors, method.localName), channel, headForm, codec, options, limits)
  })
}

type CodecOf = (schema: DescMessage) => MessageCodec.MessageCodec

const codecOf = (descriptor: DescService, format: MessageCodec.Format): CodecOf => {
  if (format === "proto") return MessageCodec.proto
  const registry = createRegistry(descriptor.file)
  return (schema) => MessageCodec.json(schema, registry)
}

const wire = <Head, R>(
  desc: DescMethod,
  classes: ReadonlyArray<ReasonClass>,
  channel: ClientRoute.ClientRoute<Head>,
  headForm: ClientRoute.HeadForm<Head>,
  codec: CodecOf,
  options: Options<R>,
  limits: ClientPolicy.Limits
): ClientMethods.Wire => {
  const { codec: format = "proto", compression, http, useGet = false, waitForReady = limits.waitForReady ?? false } = options
  const maxMessageBytes = ClientPolicy.smaller(options.maxMessageBytes, limits.maxResponseMessageBytes) ?? 4_194_304
  const maxRequestBytes = limits.maxRequestMessageBytes
  const protocol = protocolOf(options.protocol, { desc, input: codec(desc.input), format, compression, useGet })
  if (protocol.name === "grpc" && http === "1.1") {
    const failure = KratosError.unimplemented("", "gRPC needs HTTP/2; gRPC-Web and Connect do not", { grpc: Grpc.UNIMPLEMENTED })
    return { transport: protocol.name, call: Effect.fail(failure) }
  }
  const output = codec(desc.output)
  return {
    transport: protocol.name,
    call: Invocation.make({ desc, classes, channel, headForm, protocol, output, maxMessageBytes, maxRequestBytes, waitForReady })
  }
}

const protocolOf = (name: Options["protocol"], options: MethodOptions): ClientProtocol => {
  switch (name) {
    case "connect":
      return ConnectClient.protocol(options)
    case "grpc-web":
      return GrpcWebClient.protocol(options)
    default:
      return GrpcClient.protocol(options)
  }
}
