/**
 * The client's methods of a service over HTTP/2. A failure arrives as the class of its reason when the contract declares it, else as `KratosError`;
 * interrupting a call resets its stream, which interrupts the server's handler.
 */
import type { DescMethod, DescService } from "@bufbuild/protobuf"
import type * as Aspect from "@effect-kratos/core/Aspect"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import type * as Effect from "effect/Effect"
import type { Channel } from "./Channel.ts"
import * as ClientMethods from "./ClientMethods.ts"
import * as ConnectClient from "./connect/Client.ts"
import * as GrpcClient from "./grpc/Client.ts"
import * as Invocation from "./grpc/Invocation.ts"
import * as MessageCodec from "./MessageCodec.ts"
import type * as Tls from "./Tls.ts"
import { type Errors, errorsOf } from "./Errors.ts"
import type { Dialect } from "./rest/Dialect.ts"

export interface Options<R = never> {
  /** Wrapped around every call; its errors must be such as every caller can expect. */
  readonly aspects?: Aspect.Aspect<KratosError, R> | undefined
  /** Longest reply message, in bytes after decompression. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** Compresses request messages. Default: not. Connect has no deflate and sends gzip instead. */
  readonly compression?: "gzip" | "deflate" | undefined
  /** The wire. Default gRPC. REST goes over HTTP/1.1, by the HTTP rules of the contract; `discovery:///` then takes the instances' `http` endpoints. */
  readonly protocol?: "grpc" | "connect" | "rest" | undefined
  /** How REST writes messages: as servers of Kratos v3 or v2 read them, or as both do, in binary. Ours read all. Default `v3`. */
  readonly dialect?: Dialect | undefined
  /**
   * Calls wait when no node can be reached, until one can or their deadline passes. Default false: they fail with the error of the last attempt. Not over
   * REST.
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
): Effect.Effect<Readonly<Record<string, unknown>>, never, R> =>
  ClientMethods.make(descriptor, {
    target: channel.target,
    aspects: options.aspects,
    wire: (method) => wire(method, errorsOf(errors, method.localName), channel, options)
  })

const wire = <R>(desc: DescMethod, classes: ReadonlyArray<ReasonClass>, channel: Channel, options: Options<R>): ClientMethods.Wire => {
  const input = MessageCodec.proto(desc.input)
  const protocol =
    options.protocol === "connect"
      ? ConnectClient.protocol(desc, input, options.compression !== undefined)
      : GrpcClient.protocol(input, options.compression)
  const output = MessageCodec.proto(desc.output)
  const maxMessageBytes = options.maxMessageBytes ?? 4_194_304
  const waitForReady = options.waitForReady ?? false
  return { transport: protocol.name, call: Invocation.make({ desc, classes, channel, protocol, output, maxMessageBytes, waitForReady }) }
}
