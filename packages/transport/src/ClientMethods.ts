/**
 * A client's methods, whatever carries their calls: each is compiled once, aspects around a wire that reads its request from `Call`, as on the server.
 * Nothing here needs Node.
 */
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type Idempotency } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Outgoing from "./Outgoing.ts"
import * as Method from "./Method.ts"

/** How the calls of one method travel. */
export interface Wire {
  /** As `Call.transport` names it. */
  readonly transport: string
  /** What the wire knows of the method beyond its contract. */
  readonly idempotency?: Idempotency | undefined
  /**
   * Makes the call that `Call` holds, an `Outgoing`. Completes with the reply of the kinds that have one; the replies of the others go to the queue of
   * the call, and it completes at their end.
   */
  readonly call: Effect.Effect<Message | void, unknown>
}

export interface Options<R> {
  readonly target: string
  readonly aspects: Aspect.Aspect<KratosError, R> | undefined
  readonly wire: (method: DescMethod) => Wire
}

/** The methods of a service by local name, for `Service.make` to type. */
export const make = <R>(descriptor: DescService, options: Options<R>): Effect.Effect<Readonly<Record<string, unknown>>, never, R> =>
  Effect.map(Effect.context<R>(), (context) =>
    Object.fromEntries(descriptor.methods.map((method) => [method.localName, compile(method, context, options)]))
  )

const compile = <R>(desc: DescMethod, context: Context.Context<R>, options: Options<R>): unknown => {
  const wire = options.wire(desc)
  const declared = Method.of("client", desc)
  const method = { ...declared, idempotency: declared.idempotency ?? wire.idempotency }
  const aspects = Aspect.forMethod(options.aspects ?? Aspect.identity, method)
  const call = aspects(wire.call)
  const start = (outgoing: Outgoing.Outgoing): Effect.Effect<Message | void, unknown> =>
    // what the aspects need is in the layer's context; what the caller's fiber has of its own goes before it
    Effect.updateContext(call as Effect.Effect<Message | void, unknown>, (caller: Context.Context<never>) =>
      Context.add(options.aspects === undefined ? caller : Context.merge(context, caller), Call, outgoing)
    )
  const outgoing = (message: object | undefined, requests?: Requests): Effect.Effect<Outgoing.Outgoing> =>
    Effect.map(
      Deadline.Current,
      (deadline) => new Outgoing.Outgoing(wire.transport, method, options.target, deadline, message, requests, desc)
    )
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
