/**
 * A method of a served service, compiled once when the server is built: handler and aspects become one static effect that reads its
 * request from `Call`, so that nothing is composed per call. Every protocol runs its calls through here and differs only in how bytes
 * become an `Incoming` and how the exit becomes bytes.
 */
import type { DescMethod, Message } from "@bufbuild/protobuf"
import * as Aspect from "@effect-kratos/core/Aspect"
import { Call, type CallShape, type Kind, type Method as MethodInfo, type PeerIdentity } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as RetryAdvice from "@effect-kratos/core/error/RetryAdvice"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import type { RequestId } from "./http/RequestId.ts"
import type { Origin } from "./Origin.ts"
import type { DeadlineTimers } from "./DeadlineTimers.ts"
import type { Handler, Reply, Sink } from "./Handler.ts"
import type { Implementation } from "./Implementation.ts"
import { InFlight } from "./InFlight.ts"
import * as Inspected from "./Inspected.ts"
import type { Check } from "./Inspected.ts"
import * as Method from "./Method.ts"

/** One call on a server, made by a protocol from its head; the message follows. */
export class Incoming implements CallShape, MethodInfo {
  readonly side = "server"
  readonly transport: string
  readonly operation: string
  readonly service: string
  readonly method: string
  readonly kind: Kind
  readonly peer: string
  readonly endpoint: string
  readonly identity: PeerIdentity | undefined
  readonly requestId: RequestId | undefined
  readonly pathTemplate: string | undefined
  readonly httpMethod: string | undefined
  readonly deadline: Deadline.Deadline | undefined
  readonly desc: DescMethod
  message: unknown = undefined
  /** A request that cannot be decoded: the call fails with it inside the aspects, without reaching the handler. */
  failure: KratosError.KratosError | undefined = undefined
  requests: Stream.Stream<Message, KratosError.KratosError> = Stream.empty
  sink: Sink | undefined = undefined
  /** The handler wants its replies compressed, where the client accepts that. */
  compressReplies = false
  /** Reads the request's metadata off the wire when somebody asks. */
  private readonly readMetadata: () => Metadata.MutableMetadata
  private requestMetadata: Metadata.MutableMetadata | undefined = undefined
  private replyMetadata: Metadata.MutableMetadata | undefined = undefined
  private trailerMetadata: Metadata.MutableMetadata | undefined = undefined

  constructor(
    transport: string,
    operation: Operation,
    origin: Origin,
    deadline: Deadline.Deadline | undefined,
    readMetadata: () => Metadata.MutableMetadata,
    pathTemplate?: string,
    httpMethod?: string
  ) {
    this.transport = transport
    this.operation = operation.method.operation
    this.service = operation.method.service
    this.method = operation.method.method
    this.kind = operation.method.kind
    this.desc = operation.desc
    this.peer = origin.address
    this.endpoint = origin.endpoint
    this.identity = origin.identity
    this.requestId = origin.requestId
    this.pathTemplate = pathTemplate
    this.httpMethod = httpMethod
    this.deadline = deadline
    this.readMetadata = readMetadata
  }

  inspect(check: Check): void {
    this.requests = Inspected.stream(this.requests, check)
  }

  get request(): Metadata.MutableMetadata {
    if (this.requestMetadata !== undefined) return this.requestMetadata
    const metadata = (this.requestMetadata = this.readMetadata())
    // one of ours is not among what was sent, and one that is not well-formed gives way
    if (this.requestId !== undefined) Metadata.set(metadata, this.requestId.header, this.requestId.value)
    return metadata
  }
  get reply(): Metadata.MutableMetadata {
    return (this.replyMetadata ??= Metadata.make())
  }
  get trailers(): Metadata.MutableMetadata {
    return (this.trailerMetadata ??= Metadata.make())
  }
  /** The reply's header metadata, if anybody set some. */
  get replyIfAny(): Metadata.Metadata | undefined {
    return this.replyMetadata
  }
  /** The reply's trailer metadata, if anybody set some. */
  get trailersIfAny(): Metadata.Metadata | undefined {
    return this.trailerMetadata
  }
}

/** How a call ended: the reply of the kinds that have one, or the cause. */
export type Ended = Exit.Exit<Reply | void, unknown>

export interface Operation {
  readonly desc: DescMethod
  readonly method: MethodInfo
  /**
   * Runs a call to its end and hands its exit to `onEnd`, in the same tick when the handler does not wait. The returned function cancels it:
   * the fiber is interrupted, `onEnd` is still called. A deadline that passes cancels with `DEADLINE_EXCEEDED`.
   */
  readonly run: (call: Incoming, onEnd: (exit: Ended) => void) => (() => void) | undefined
}

export interface Options {
  readonly aspects: Aspect.Aspect<unknown, unknown>
  readonly timers: DeadlineTimers
  /** The services around each call; asked per call because the app's identity becomes known after the server has started. */
  readonly services: () => Context.Context<never>
  /** The calls that wait, for a server that must not close before them. */
  readonly running: Set<InFlight>
}

export const make = (desc: DescMethod, implementation: Implementation, options: Options): Operation | undefined => {
  const handler = implementation.handlers.get(desc.localName)
  if (handler === undefined) return undefined
  const method = Method.of("server", desc)
  const compiled = Aspect.compile(
    implementation.aspects === undefined ? options.aspects : Aspect.compose(options.aspects, implementation.aspects),
    method
  )
  const bare = body(handler)
  // What the aspects and the handler need is in the context that `run` forks with; their failures are encoded by the protocol.
  const stacked = ({ hooks, wrap }: Aspect.Stack) => ({
    hooks,
    effect: (wrap === undefined ? bare : wrap(bare)) as Effect.Effect<Reply | void, unknown>
  })
  const full = stacked(compiled)
  const light = compiled.light === undefined ? undefined : { ...stacked(compiled.light), contexts: compiled.light.contexts }
  let around: Context.Context<never> | undefined
  let base: Context.Context<never> = implementation.context

  const run: Operation["run"] = (call, onEnd) => {
    const services = options.services()
    if (services !== around) {
      around = services
      base = Context.merge(services, implementation.context)
    }
    let context: Context.Context<never> = Context.add(base, Call, call)
    if (call.deadline !== undefined) context = Context.add(context, Deadline.Current, call.deadline)
    if (call.requestId !== undefined) {
      const annotations = Context.get(context, References.CurrentLogAnnotations)
      context = Context.add(context, References.CurrentLogAnnotations, { ...annotations, requestId: call.requestId.value })
    }
    const lighter = light === undefined ? undefined : Aspect.contextOf(light.contexts, call, context)
    const { effect, hooks } = light === undefined || lighter === undefined ? full : light
    if (lighter !== undefined) context = lighter
    const states = Aspect.start(hooks, call, context)
    const refused = Aspect.rejection(states)
    if (refused !== undefined) {
      onEnd(Aspect.end(hooks, call, refused.exit, states, context))
      return undefined
    }
    const fiber = Effect.runForkWith(context)(effect)
    const exit = fiber.pollUnsafe()
    const end = (ended: Ended) => onEnd(advising(call, Aspect.end(hooks, call, ended, states, context)))
    if (exit === undefined) return detach(fiber, call, options, end)
    end(exit)
    return undefined
  }
  return { desc, method, run }
}

/** A failure that is final is so for the caller too. */
const advising = (call: Incoming, exit: Ended): Ended => {
  if (Exit.isFailure(exit)) {
    const failure = exit.cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined && RetryAdvice.isFinal(failure.error)) RetryAdvice.send(call.trailers)
  }
  return exit
}

/** Follows a fiber that waits: its deadline, its cancellation, the server's going away, its end. */
const detach = (
  fiber: Fiber.Fiber<Reply | void, unknown>,
  call: Incoming,
  { running, timers }: Options,
  onEnd: (exit: Ended) => void
): (() => void) => {
  const self = new InFlight(fiber, call.kind !== "unary")
  running.add(self)
  const timer = call.deadline === undefined ? undefined : timers.add(call.deadline, () => self.end(deadlineExceeded(call)))
  fiber.addObserver((exit) => {
    running.delete(self)
    if (timer !== undefined) timers.remove(timer)
    const { verdict } = self
    onEnd(verdict !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Exit.fail(verdict) : exit)
  })
  return () => fiber.interruptUnsafe()
}

/** 504 that says which hop, whose deadline. */
export const deadlineExceeded = (call: CallShape): KratosError.KratosError =>
  KratosError.gatewayTimeout(
    Deadline.reason,
    `deadline exceeded: ${call.operation} (${call.side}) was not done when its caller's deadline passed`
  )

const body = (handler: Handler): Effect.Effect<Reply | void, unknown> => {
  switch (handler.kind) {
    case "unary":
      return withIncoming((call) => handler.run(call.message as Message)) // decoded by the protocol before `run`
    case "client_streaming":
      return withIncoming((call) => handler.run(call.requests))
    case "server_streaming":
      return withIncoming((call) => drain(handler.run(call.message as Message), call))
    case "bidi_streaming":
      return withIncoming((call) => drain(handler.run(call.requests), call))
  }
}

const drain = (replies: Stream.Stream<Reply, unknown>, call: Incoming): Effect.Effect<void, unknown> =>
  Stream.runForEachArray(replies, call.sink!.write)

const withIncoming = <A, E>(f: (call: Incoming) => Effect.Effect<A, E>): Effect.Effect<A, E | KratosError.KratosError> =>
  // `run` is the only one that provides Call here, and it provides an Incoming
  Effect.withFiber((fiber): Effect.Effect<A, E | KratosError.KratosError> => {
    const call = Context.getUnsafe(fiber.context, Call) as unknown as Incoming
    return call.failure === undefined ? f(call) : Effect.fail(call.failure)
  })
