/**
 * The handlers of a service, normalised: generator methods are wrapped once, and the services they need are captured with them. The same
 * object is what in-process callers see, so a program that depends on a service does not know whether it is local or remote.
 */
import type { DescService } from "@bufbuild/protobuf"
import type * as Aspect from "@effect-kratos/core/Aspect"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { complete, type Handler, type Reply } from "./Handler.ts"
import * as InProcess from "./InProcess.ts"

export { complete, type Handler, type Reply }

/** Handlers by local method name, as the user wrote them. Service.ts types them. */
export type AnyHandlers = Readonly<Record<string, (input: never) => unknown>>

/** The implementation behind a service in a context: handlers by local method name, and what they need. */
export interface Implementation {
  readonly handlers: ReadonlyMap<string, Handler>
  readonly context: Context.Context<never>
  /** Around every call of the service, inside of the server's aspects. */
  readonly aspects?: Aspect.Aspect<unknown, unknown> | undefined
}

const ImplementationId: unique symbol = Symbol.for("~@effect-kratos/transport/Implementation")

/** Makes the value of a service tag from handlers: callable methods, with the handlers inside for servers. */
export const make = (
  descriptor: DescService,
  handlers: AnyHandlers,
  context: Context.Context<never>,
  aspects?: Aspect.Aspect<unknown, unknown>
): object => {
  const implementation: Implementation = { handlers: normalise(descriptor, handlers), context, aspects }
  const methods: Record<string, unknown> = {}
  for (const method of descriptor.methods) {
    const handler = implementation.handlers.get(method.localName)
    if (handler !== undefined) methods[method.localName] = InProcess.make(method, handler, context, aspects)
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
