/**
 * A proto service as one tag with three uses: `layer` implements it in this process, `client` calls it over the wire, and tests fake it
 * with `Layer.mock`. Generated code extends `Service.make`; nothing else about a service is generated.
 */
import type { DescMessage, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf"
import type { GenService } from "@bufbuild/protobuf/codegenv2"
import type * as Aspect from "@effect-kratos/core/Aspect"
import type { Call } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Errors } from "./Errors.ts"
import type { Channels } from "./Channels.ts"
import type * as Client from "./Client.ts"
import type * as Comments from "./Comments.ts"
import * as Implementation from "./Implementation.ts"

type In<M> = M extends { input: infer I extends DescMessage } ? I : never
type Out<M> = M extends { output: infer O extends DescMessage } ? O : never

/** The failures of method `K` as the contract declares them. */
export type ErrorOf<Errs extends Errors, K> =
  | KratosError
  | (Errs extends ReadonlyArray<infer Class>
      ? Instance<Class>
      : K extends keyof Errs
        ? Errs[K] extends ReadonlyArray<infer Class>
          ? Instance<Class>
          : never
        : never)

/** Distributes, so that a contract without reasons adds nothing. */
type Instance<Class> = Class extends ReasonClass<infer E> ? E : never

/** What a caller sees of a method: plain objects in, messages out, typed errors. */
export type CallerMethod<M, E> = M extends { methodKind: "unary" }
  ? (request: MessageInitShape<In<M>>) => Effect.Effect<MessageShape<Out<M>>, E>
  : M extends { methodKind: "server_streaming" }
    ? (request: MessageInitShape<In<M>>) => Stream.Stream<MessageShape<Out<M>>, E>
    : M extends { methodKind: "client_streaming" }
      ? <E2, R2>(requests: Stream.Stream<MessageInitShape<In<M>>, E2, R2>) => Effect.Effect<MessageShape<Out<M>>, E | E2, R2>
      : <E2, R2>(requests: Stream.Stream<MessageInitShape<In<M>>, E2, R2>) => Stream.Stream<MessageShape<Out<M>>, E | E2, R2>

/** What callers see of a service. */
export type Caller<D, Errs extends Errors> =
  D extends GenService<infer S> ? { readonly [K in keyof S]: CallerMethod<S[K], ErrorOf<Errs, K>> } : never

/* `any` in the needs of a handler: whatever it needs is inferred from the handlers object and shows in the layer's type. */
/* oxlint-disable typescript/no-explicit-any */
type Result<O, E> = Effect.Effect<O, E, any> | Generator<Effect.Effect<any, E, any>, O, any>

/** What an implementer writes: a generator method or a function to an Effect; streaming replies are Streams. */
export type Handler<M, E> = M extends { methodKind: "unary" }
  ? (request: MessageShape<In<M>>) => Result<MessageInitShape<Out<M>>, E>
  : M extends { methodKind: "server_streaming" }
    ? (request: MessageShape<In<M>>) => Stream.Stream<MessageInitShape<Out<M>>, E, any>
    : M extends { methodKind: "client_streaming" }
      ? (requests: Stream.Stream<MessageShape<In<M>>, KratosError>) => Result<MessageInitShape<Out<M>>, E>
      : (requests: Stream.Stream<MessageShape<In<M>>, KratosError>) => Stream.Stream<MessageInitShape<Out<M>>, E, any>

export type Handlers<D, Errs extends Errors> =
  D extends GenService<infer S> ? { readonly [K in keyof S]: Handler<S[K], ErrorOf<Errs, K>> } : never

type NeedsOf<T> =
  T extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : T extends Stream.Stream<infer _A, infer _E, infer R>
      ? R
      : T extends Generator<infer Y, any, any>
        ? Y extends Effect.Effect<infer _A, infer _E, infer R>
          ? R
          : never
        : never
type Returns<H> = H[keyof H] extends (...args: any) => infer T ? T : never
/* oxlint-enable typescript/no-explicit-any */

/** The services that handlers need, less the call itself, which every transport provides. */
export type Needs<H> = Exclude<NeedsOf<Returns<H>>, Call>

export interface Options<Errs extends Errors> {
  readonly errors?: Errs | undefined
  /** Loads the comments of the contract, for what documents the service. */
  readonly comments?: Comments.Load | undefined
}

export interface LayerOptions<A> {
  /**
   * Wrapped around every call of this service, inside those of the server and also around calls within the process. What they provide, the claims of
   * a caller for example, is no need of the handlers any more.
   */
  readonly aspects?: A | undefined
}

/** The needs of handlers behind aspects. */
export type Guarded<R, A> = Exclude<R, Aspect.ProvidesOf<A>> | Exclude<Aspect.ServicesOf<A>, Call>

export interface ServiceClass<Self, D extends DescService, Errs extends Errors> extends Context.Service<Self, Caller<D, Errs>> {
  new (_: never): {}
  readonly descriptor: D
  readonly errors: Errs
  readonly comments?: Comments.Load | undefined
  /** Implements the service in this process. */
  readonly layer: <H extends Handlers<D, Errs>, A extends Aspect.Aspect<unknown, unknown> = Aspect.Aspect>(
    handlers: H,
    options?: LayerOptions<A>
  ) => Layer.Layer<Self, never, Guarded<Needs<H>, A>>
  /** The same, from an effect that builds the handlers. */
  readonly layerEffect: <H extends Handlers<D, Errs>, E, R, A extends Aspect.Aspect<unknown, unknown> = Aspect.Aspect>(
    make: Effect.Effect<H, E, R>,
    options?: LayerOptions<A>
  ) => Layer.Layer<Self, E, Exclude<R, Scope.Scope> | Guarded<Needs<H>, A>>
  /** Calls the service over the wire: `discovery:///name`, `direct:///host:port,…`. */
  readonly client: <R = never>(target: string, options?: Client.Options<R>) => Layer.Layer<Self, never, Channels | R>
}

/** What a server needs to know of a service, whatever its types. */
export interface Any {
  readonly key: string
  readonly descriptor: DescService
  readonly errors: Errors
  readonly comments?: Comments.Load | undefined
}

/** The tags of an array of services. */
export type Tags<Services extends ReadonlyArray<unknown>> = Services[number] extends infer S
  ? S extends Context.Key<infer Self, infer _Shape>
    ? Self
    : never
  : never

/** `Channels` by its key alone: its module needs Node, and contracts are loaded by browsers too. */
const ChannelsKey = Context.Service<Channels, Channels["Service"]>("@effect-kratos/transport/Channels")

/** The base class of a service tag. The key is the full name of the proto service. */
export const make =
  <Self>() =>
  <const D extends DescService, const Errs extends Errors = []>(descriptor: D, options?: Options<Errs>): ServiceClass<Self, D, Errs> => {
    const tag = Context.Service<Self, Caller<D, Errs>>()(descriptor.typeName)
    const errors: Errors = options?.errors ?? []
    type AnyOptions = LayerOptions<Aspect.Aspect<unknown, unknown>>
    const layerEffect = (build: Effect.Effect<Implementation.AnyHandlers, unknown, never>, layerOptions?: AnyOptions) =>
      Layer.effect(
        tag,
        Effect.flatMap(build, (handlers) =>
          // the methods are made from the descriptor, so their types are those of the caller by construction
          Effect.map(
            Effect.context<never>(),
            (context) => Implementation.make(descriptor, handlers, context, layerOptions?.aspects) as Caller<D, Errs>
          )
        )
      )
    // The statics are typed by ServiceClass; here they only know the descriptor.
    return Object.assign(tag, {
      descriptor,
      errors,
      ...(options?.comments === undefined ? undefined : { comments: options.comments }),
      layer: (handlers: Implementation.AnyHandlers, layerOptions?: AnyOptions) => layerEffect(Effect.succeed(handlers), layerOptions),
      layerEffect,
      client: <R>(target: string, clientOptions?: Client.Options<R>) =>
        Layer.effect(
          tag,
          Effect.flatMap(ChannelsKey, (channels) =>
            Effect.map(channels.client(descriptor, errors, target, clientOptions), (methods) => methods as Caller<D, Errs>)
          )
        )
    }) as unknown as ServiceClass<Self, D, Errs>
  }
