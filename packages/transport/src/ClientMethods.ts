/**
 * A client's methods, whatever carries their calls: each is compiled once, aspects around a wire that reads its request from `Call`, as on the server.
 * Nothing here needs Node.
 */
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type Idempotency } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import type { ServiceConfig } from "@effect-kratos/core/policy/ServiceConfig"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as ClientPolicy from "./ClientPolicy.ts"
import * as Outgoing from "./Outgoing.ts"
import * as Method from "./Method.ts"

/** How the calls of one method travel. */
export interface Wire {
  /** As `Call.transport` names it. */
  readonly transport: string
  /** What the wire knows of the method beyond its contract. */
  readonly idempotency?: Idempotency | undefined
  /**
   * Makes the call that `Call` holds, an `Outgoing`; it ends by itself when `Deadline.Current` has passed. Completes with the reply of the kinds that have
   * one; the replies of the others go to the queue of the call, and it completes at their end.
   */
  readonly call: Effect.Effect<Message | void, unknown>
}

export interface Options<R> {
  readonly target: string
  readonly aspects: Aspect.Aspect<KratosError, R> | undefined
  /** Inside of the policy: they run for each attempt. */
  readonly attemptAspects?: Aspect.Aspect<KratosError, R> | undefined
  readonly policy?: ClientPolicy.ClientPolicy | undefined
  /** The wire of a method; transport and idempotency do not depend on the limits. */
  readonly wire: (method: DescMethod, limits: ClientPolicy.Limits) => Wire
}

/** The methods of a service by local name, for `Service.make` to type. */
export const make = <R>(descriptor: DescService, options: Options<R>): Effect.Effect<Readonly<Record<string, unknown>>, never, R> =>
  Effect.map(Effect.context<R>(), (context) =>
    Object.fromEntries(descriptor.methods.map((method) => [method.localName, compile(method, context, options)]))
  )

const compile = <R>(desc: DescMethod, context: Context.Context<R>, options: Options<R>): unknown => {
  const { aspects = Aspect.identity, attemptAspects = Aspect.identity, policy, target } = options
  const declared = Method.of("client", desc)
  const { idempotency, transport } = options.wire(desc, NO_LIMITS)
  const method = { ...declared, idempotency: declared.idempotency ?? idempotency }
  const bare = options.aspects === undefined && options.attemptAspects === undefined

  const build = (config: ServiceConfig | undefined): Effect.Effect<Message | void, unknown> => {
    const limits = policy === undefined || config === undefined ? NO_LIMITS : policy.limits(config, method)
    const wire = options.wire(desc, limits)
    const between = policy === undefined || config === undefined ? Aspect.identity : (policy.aspect(config, method) ?? Aspect.identity)
    const stack = Aspect.forMethod(Aspect.compose(aspects, between, attemptAspects), method, { punctual: true })
    // what the aspects need is in the context that `start` runs them with
    return stack(wire.call) as Effect.Effect<Message | void, unknown>
  }
  let config = policy?.current()
  let call = build(config)
  const changing = policy === undefined || policy.isFixed ? undefined : policy
  const current = (): Effect.Effect<Message | void, unknown> => {
    if (changing === undefined) return call
    const now = changing.current()
    if (now !== config) {
      config = now
      call = build(now)
    }
    return call
  }

  // what the aspects need is in the layer's context; what the caller's fiber has of its own goes before it
  let caller: Context.Context<never> | undefined
  let merged: Context.Context<never> = context
  const around = (services: Context.Context<never>): Context.Context<never> => {
    if (bare) return services
    // calls in a row mostly come from one place
    if (services !== caller) {
      merged = Context.merge(context, services)
      caller = services
    }
    return merged
  }
  const start = (outgoing: Outgoing.Outgoing): Effect.Effect<Message | void, unknown> =>
    Effect.updateContext(current(), (services: Context.Context<never>) => Context.add(around(services), Call, outgoing))
  const outgoing = (fiber: Fiber.Fiber<unknown, unknown>, message: object | undefined, requests?: Requests): Outgoing.Outgoing =>
    new Outgoing.Outgoing(transport, method, target, fiber.getRef(Deadline.Current), message, requests, desc)
  const reply = (message: object | undefined, requests?: Requests): Effect.Effect<Message | void, unknown> =>
    Effect.withFiber((fiber) => start(outgoing(fiber, message, requests)))
  const replies = (message: object | undefined, requests?: Requests): Stream.Stream<Message, unknown> =>
    Stream.unwrap(
      Effect.withFiber((fiber) => {
        const made = outgoing(fiber, message, requests)
        const whole = Effect.onExit(start(made), (exit) => Effect.sync(() => made.replies.end(exit)))
        return Effect.as(Effect.forkScoped(whole, { startImmediately: true }), made.replies.stream)
      })
    )
  switch (desc.methodKind) {
    case "unary":
      return (message: object) => reply(message)
    case "client_streaming":
      return (requests: Requests) => reply(undefined, requests)
    case "server_streaming":
      return (message: object) => replies(message)
    case "bidi_streaming":
      return (requests: Requests) => replies(undefined, requests)
  }
}

const NO_LIMITS: ClientPolicy.Limits = {}

type Requests = Stream.Stream<object, unknown>
