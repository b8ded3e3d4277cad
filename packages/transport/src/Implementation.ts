/**
 * The handlers of a service, normalised: generator methods are wrapped once, and the services they need are captured with them. The same
 * object is what in-process callers see, so a program that depends on a service does not know whether it is local or remote.
 */
import { create, type DescMessage, type DescMethod, type DescService, type Message } from "@bufbuild/protobuf"
import { Call, type CallShape } from "@effect-kratos/core/Call"
import * as Deadline from "@effect-kratos/core/Deadline"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Method from "./Method.ts"

/** Handlers by local method name, as the user wrote them. Service.ts types them. */
export type AnyHandlers = Readonly<Record<string, (input: never) => unknown>>

/** What a message handler returns may be a full message or its initialiser. */
export type Reply = Message | object

/** A handler made uniform. Its needs are in the context of its implementation. */
export type Handler =
  | { readonly kind: "unary"; readonly run: (request: Message) => Effect.Effect<Reply, unknown> }
  | { readonly kind: "server_streaming"; readonly run: (request: Message) => Stream.Stream<Reply, unknown> }
  | { readonly kind: "client_streaming"; readonly run: (requests: Stream.Stream<Message, KratosError>) => Effect.Effect<Reply, unknown> }
  | { readonly kind: "bidi_streaming"; readonly run: (requests: Stream.Stream<Message, KratosError>) => Stream.Stream<Reply, unknown> }

/** The implementation behind a service in a context: handlers by local method name, and what they need. */
export interface Implementation {
  readonly handlers: ReadonlyMap<string, Handler>
  readonly context: Context.Context<never>
}

const ImplementationId: unique symbol = Symbol.for("~@effect-kratos/transport/Implementation")

/** Makes the value of a service tag from handlers: callable methods, with the handlers inside for servers. */
export const make = (descriptor: DescService, handlers: AnyHandlers, context: Context.Context<never>): object => {
  const implementation: Implementation = { handlers: normalise(descriptor, handlers), context }
  const methods: Record<string, unknown> = {}
  for (const method of descriptor.methods) {
    const handler = implementation.handlers.get(method.localName)
    if (handler !== undefined) methods[method.localName] = inProcess(method, handler, context)
  }
  return Object.defineProperty(methods, ImplementationId, { value: implementation })
}

/** The implementation behind a service. A mock or a client has none of its own: its methods serve as handlers, which makes a proxy. */
export const of = (descriptor: DescService, service: object): Implementation => {
  // asked without reading: a mock answers for every member
  const own = Object.hasOwn(service, ImplementationId) ? (service as { [ImplementationId]: Implementation })[ImplementationId] : undefined
  // a service value is a record of methods by its tag's type
  return own ?? { handlers: normalise(descriptor, service as AnyHandlers), context: Context.empty() }
}

const normalise = (descriptor: DescService, handlers: AnyHandlers): ReadonlyMap<string, Handler> => {
  const normalised = new Map<string, Handler>()
  for (const method of descriptor.methods) {
    const handler = handlers[method.localName]
    if (typeof handler !== "function") continue
    // a member that a mock has not is a function without methods
    const bound = Function.prototype.bind.call(handler, handlers) as typeof handler
    const run = isGenerator(handler) ? Effect.fnUntraced(bound as typeof handler) : bound
    // the kind decides the shape of the handler; Service.Handler checked it when the user wrote it
    normalised.set(method.localName, { kind: method.methodKind, run } as unknown as Handler)
  }
  return normalised
}

const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor as Function

// oxlint-disable-next-line typescript/no-explicit-any -- what a generator yields is checked by Service.Handler
const isGenerator = (f: unknown): f is (input: never) => Generator<Effect.Effect<any, any, never>, any, never> =>
  f instanceof GeneratorFunction

const inProcess = (method: DescMethod, handler: Handler, context: Context.Context<never>): unknown => {
  const provide = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.updateContext(effect, (caller: Context.Context<never>) =>
      Context.add(Context.merge(caller, context), Call, localCall(method, caller))
    )
  const provideStream = <A, E>(stream: Stream.Stream<A, E>): Stream.Stream<A, E> =>
    Stream.updateContext(stream, (caller: Context.Context<never>) =>
      Context.add(Context.merge(caller, context), Call, localCall(method, caller))
    )
  const reply = (value: Reply): Message => complete(method.output, value)
  const request = (init: object): Message => complete(method.input, init)
  switch (handler.kind) {
    case "unary":
      return (init: object) =>
        provide(
          Effect.map(
            Effect.suspend(() => handler.run(request(init))),
            reply
          )
        )
    case "server_streaming":
      return (init: object) =>
        provideStream(
          Stream.map(
            Stream.suspend(() => handler.run(request(init))),
            reply
          )
        )
    case "client_streaming":
      return (inits: Stream.Stream<object, KratosError>) =>
        provide(
          Effect.map(
            Effect.suspend(() => handler.run(Stream.map(inits, request))),
            reply
          )
        )
    case "bidi_streaming":
      return (inits: Stream.Stream<object, KratosError>) =>
        provideStream(
          Stream.map(
            Stream.suspend(() => handler.run(Stream.map(inits, request))),
            reply
          )
        )
  }
}

/** The message of an initialiser; a message is taken as it is. */
export const complete = (schema: DescMessage, value: Reply): Message =>
  // anything else is an initialiser, by the types of Service.ts
  (value as Partial<Message>).$typeName === schema.typeName ? (value as Message) : create(schema, value as Record<string, unknown>)

const localCall = (method: DescMethod, caller: Context.Context<never>): CallShape => ({
  ...Method.of("server", method),
  transport: "local",
  peer: "",
  endpoint: "local",
  pathTemplate: undefined,
  request: Metadata.make(),
  reply: Metadata.make(),
  trailers: Metadata.make(),
  deadline: Context.get(caller, Deadline.Current),
  message: undefined
})
