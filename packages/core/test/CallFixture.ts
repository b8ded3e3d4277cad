/** A call to test aspects with. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Aspect from "../src/Aspect.ts"
import { Call, type CallShape } from "../src/Call.ts"
import * as Metadata from "../src/Metadata.ts"

export const make = (fields?: Partial<CallShape>): CallShape => ({
  side: "server",
  operation: "/user.v1.Users/Get",
  service: "user.v1.Users",
  method: "Get",
  kind: "unary",
  transport: "grpc",
  peer: "10.0.0.1:5000",
  endpoint: "grpc://10.0.0.2:9000",
  pathTemplate: undefined,
  request: Metadata.make(),
  reply: Metadata.make(),
  trailers: Metadata.make(),
  deadline: undefined,
  message: undefined,
  ...fields
})

/** Runs a call as a plain effect. */
export const run = <A, E, R>(call: CallShape, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Call>> =>
  Effect.provideService(effect, Call, call)

/** Runs a call as a wire does: hooks as functions around the fiber of what is left of the stack. */
export const runCompiled = <A, E>(
  call: CallShape,
  aspect: Aspect.Aspect<unknown, unknown>,
  handler: Effect.Effect<A, E>
): Effect.Effect<Exit.Exit<A, unknown>> =>
  Effect.withFiber((fiber) => {
    const compiled = Aspect.compile(aspect, call)
    const own: Context.Context<never> = Context.add(fiber.context, Call, call)
    const chosen = compiled.light && Aspect.contextOf(compiled.light.contexts, call, own)
    const services = chosen ?? own
    const { hooks, wrap } = chosen === undefined ? compiled : compiled.light!
    const states = Aspect.start(hooks, call, services)
    const refused = Aspect.rejection(states)
    if (refused !== undefined) return Effect.succeed(Aspect.end(hooks, call, refused.exit, states, services))
    // the tests' aspects need nothing but the call
    const inner = (wrap === undefined ? handler : wrap(handler)) as Effect.Effect<A, unknown>
    return Effect.map(Effect.exit(Effect.provideContext(inner, services)), (exit) => Aspect.end(hooks, call, exit, states, services))
  })
