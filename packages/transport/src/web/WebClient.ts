/**
 * The client of a browser, or of any other place that has `fetch` and not Node: provides a service's tag with calls over Connect. Unary and
 * server-streaming methods work; browsers cannot stream requests, so that the other kinds fail with UNIMPLEMENTED. Errors are typed as on every
 * wire; interrupting a call aborts its request, which interrupts the server's handler.
 *
 * A page of another origin needs the server's `cors` option.
 */
import { type DescMethod, type DescService, type Message, toBinary } from "@bufbuild/protobuf"
import type * as Aspect from "@effect-kratos/core/Aspect"
import { Call } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as RetryAdvice from "@effect-kratos/core/error/RetryAdvice"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ClientMethods from "../ClientMethods.ts"
import * as Timeout from "../connect/Timeout.ts"
import { type Errors, errorsOf } from "../Errors.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import { typed } from "../grpc/Status.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { complete } from "../Implementation.ts"
import type { Outgoing } from "../Outgoing.ts"
import type * as Fetch from "./Fetch.ts"
import * as FetchStream from "./FetchStream.ts"
import * as FetchUnary from "./FetchUnary.ts"

export interface Options<R = never> {
  /** Where the services are: `https://api.example.org`, with a path if a proxy wants one, or `""` for the page's own origin. */
  readonly baseUrl: string
  /** Wrapped around every call; its errors must be such as every caller can expect. */
  readonly aspects?: Aspect.Aspect<KratosError.KratosError, R> | undefined
  /** Whether requests carry cookies, as `fetch` has it. Default `same-origin`. */
  readonly credentials?: RequestInit["credentials"] | undefined
  /** Calls methods that are declared without side effects by GET, so that replies may be cached. Default true. */
  readonly useGet?: boolean | undefined
  /** Longest reply message, in bytes. Default 4 MiB. */
  readonly maxMessageBytes?: number | undefined
  /** In place of the global `fetch`. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined
}

/** A service as its generated class has it. */
export interface Service<Self, Shape> extends Context.Key<Self, Shape> {
  readonly descriptor: DescService
  readonly errors: Errors
}

/** Provides a service by calls to `baseUrl`. */
export const layer = <Self, Shape, R = never>(service: Service<Self, Shape>, options: Options<R>): Layer.Layer<Self, never, R> =>
  Layer.effect(
    service,
    // the methods are made from the descriptor, so their types are those of the caller by construction
    Effect.map(make(service, options), (methods) => methods as Shape)
  )

const make = <Self, Shape, R>(service: Service<Self, Shape>, options: Options<R>) => {
  const {
    credentials = "same-origin",
    fetch = (url, init) => globalThis.fetch(url, init),
    maxMessageBytes = 4_194_304,
    useGet = true
  } = options
  const base = options.baseUrl.replace(/\/+$/, "")
  const http: Fetch.Http = {
    url: (operation) => base + operation,
    fetch: (url, init) => fetch(url, { ...init, credentials }),
    useGet,
    maxMessageBytes
  }
  return ClientMethods.make(service.descriptor, {
    target: options.baseUrl,
    aspects: options.aspects,
    wire: (method) => ({ transport: "connect", call: invoke(method, errorsOf(service.errors, method.localName), http) })
  })
}

const invoke = (desc: DescMethod, classes: ReadonlyArray<ReasonClass>, http: Fetch.Http): Effect.Effect<Message | void, unknown> =>
  Effect.withFiber((fiber) => {
    // ClientMethods provides the call, and it is an Outgoing
    const call = Context.getUnsafe(fiber.context, Call) as unknown as Outgoing
    call.begin()
    if (call.requests !== undefined) {
      return Effect.fail(KratosError.unimplemented("", "browsers cannot stream requests", { grpc: Grpc.UNIMPLEMENTED }))
    }
    const message = encode(desc, call.message ?? {})
    if (message instanceof KratosError.KratosError) return Effect.fail(message)
    const metadata = HeaderFields.fromMetadata(call.request)
    if (metadata instanceof KratosError.KratosError) return Effect.fail(metadata)
    const headers = new Headers(metadata.map(([name, value]): [string, string] => [name, value]))
    const deadline = Context.get(fiber.context, Deadline.Current)
    const left = deadline === undefined ? undefined : deadline - fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
    if (left !== undefined && left <= 0) return Effect.fail(exceeded(call))
    if (left !== undefined) headers.set(Timeout.HEADER, Timeout.format(left))
    call.processed = true
    const reply = Effect.flatMap(fetched(desc, call, message, http, headers), (result) =>
      result instanceof KratosError.KratosError
        ? Effect.fail(RetryAdvice.received(typed(result, classes), call.reply, call.trailers))
        : Effect.succeed(result)
    )
    return left === undefined ? reply : Effect.timeoutOrElse(reply, { duration: left, orElse: () => Effect.fail(exceeded(call)) })
  })

const encode = (desc: DescMethod, message: object): Uint8Array | KratosError.KratosError => {
  try {
    return toBinary(desc.input, complete(desc.input, message))
  } catch (cause) {
    return KratosError.badRequest("CODEC", `the request is not a valid ${desc.input.typeName}`, { cause })
  }
}

const fetched = (
  desc: DescMethod,
  call: Outgoing,
  message: Uint8Array,
  http: Fetch.Http,
  headers: Headers
): Effect.Effect<Message | KratosError.KratosError | undefined, KratosError.KratosError> => {
  const run = call.kind === "unary" ? FetchUnary.run : FetchStream.run
  return Effect.tryPromise({
    try: (signal): Promise<Message | KratosError.KratosError | undefined> => run(desc, call, message, http, headers, signal),
    catch: (cause) => GrpcError.unavailable(`${call.operation} could not be called at ${call.endpoint}`, cause)
  })
}

const exceeded = (call: Outgoing): KratosError.KratosError =>
  KratosError.gatewayTimeout(Deadline.reason, `deadline exceeded: ${call.operation} (client) had no reply from ${call.endpoint} in time`, {
    grpc: Grpc.DEADLINE_EXCEEDED
  })
