/**
 * The client's methods of a service. Each is compiled once: aspects around an invocation that reads its request from `Call`, as on the
 * server. A failure arrives as the class of its reason when the contract declares it, else as `KratosError`; interrupting a call resets its
 * stream, which interrupts the server's handler.
 */
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Channel } from "./Channel.ts"
import { Channels } from "./Channels.ts"
import * as ConnectClient from "./connect/Client.ts"
import * as GrpcClient from "./grpc/Client.ts"
import * as Invocation from "./grpc/Invocation.ts"
import * as MessageCodec from "./MessageCodec.ts"
import type * as Tls from "./Tls.ts"
import * as Outgoing from "./Outgoing.ts"
import { type Errors, errorsOf } from "./Errors.ts"

export interface Options<R = never> {
  /** Wrapped around every call; its errors must be such as every caller can expect. */
  readonly aspects?: Aspect.Aspect<KratosError, R> | undefined
  /** Longest reply message, in bytes after decompression. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** Compresses request messages. Default: not. Connect has no deflate and sends gzip instead. */
  readonly compression?: "gzip" | "deflate" | undefined
  /** The wire. Default gRPC. */
  readonly protocol?: "grpc" | "connect" | undefined
  /** Speaks TLS; `discovery:///` then takes the instances' secure endpoints. Give the same object to clients that shall share connections. */
  readonly tls?: Tls.ClientOptions | undefined
}

/** The methods of a service by local name, for `Service.make` to type. */
export const make = <R>(
  descriptor: DescService,
  errors: Errors,
  target: string,
  options: Options<R> = {}
): Effect.Effect<Readonly<Record<string, unknown>>, never, Channels | R> =>
  Effect.gen(function* () {
    const channels = yield* Channels
    const channel = yield* channels.get(target, options.tls)
    const context = yield* Effect.context<R>()
    return Object.fromEntries(
      descriptor.methods.map((method) => [method.localName, compile(method, errorsOf(errors, method.localName), channel, context, options)])
    )
  })

const compile = <R>(
  desc: DescMethod,
  classes: ReadonlyArray<ReasonClass>,
  channel: Channel,
  context: Context.Context<R>,
  options: Options<R>
): unknown => {
  const method = Outgoing.methodOf(desc)
  const aspects = Aspect.forMethod(options.aspects ?? Aspect.identity, method)
  const input = MessageCodec.proto(desc.input)
  const protocol =
    options.protocol === "connect"
      ? ConnectClient.protocol(desc, input, options.compression !== undefined)
      : GrpcClient.protocol(input, options.compression)
  const call = aspects(
    Invocation.make({
      desc,
      classes,
      channel,
      protocol,
      output: MessageCodec.proto(desc.output),
      maxMessageBytes: options.maxMessageBytes ?? 4_194_304
    })
  )
  const start = (outgoing: Outgoing.Outgoing): Effect.Effect<Message | void, unknown> =>
    // what the aspects need is in the layer's context; what the caller's fiber has of its own goes before it
    Effect.updateContext(call as Effect.Effect<Message | void, unknown>, (caller: Context.Context<never>) =>
      Context.add(options.aspects === undefined ? caller : Context.merge(context, caller), Call, outgoing)
    )
  const outgoing = (message: object | undefined, requests?: Requests): Effect.Effect<Outgoing.Outgoing> =>
    Effect.map(Deadline.Current, (deadline) => new Outgoing.Outgoing(protocol.name, method, channel.target, deadline, message, requests))
  const replies = (message: object | undefined, requests?: Requests): Stream.Stream<Message, unknown> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const made = yield* outgoing(message, requests)
        const whole = Effect.onExit(start(made), (exit) => Effect.sync(() => made.replies.end(exit)))
        yield* Effect.forkScoped(whole, { startImmediately: true })
        return made.replies.stream
      })
    )
  switch (desc.methodKind) {
    case "unary":
      return (message: object) => Effect.flatMap(outgoing(message), start)
    case "client_streaming":
      return (requests: Requests) => Effect.flatMap(outgoing(undefined, requests), start)
    case "server_streaming":
      return (message: object) => replies(message)
    case "bidi_streaming":
      return (requests: Requests) => replies(undefined, requests)
  }
}

type Requests = Stream.Stream<object, unknown>
