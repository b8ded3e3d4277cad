/**
 * An aspect is a function from the effect of a call to an effect: Kratos' middleware with its errors and needs in the type.
 *
 * The effect that an aspect wraps is the whole call, for all four kinds of method: for streams it ends when the last message is written.
 * An aspect that only looks at the start and the end of a call is made with `observe`; a stack fuses neighbouring observers into plain
 * functions around the call's fiber, which is three times cheaper than combinators. `compose` keeps what fusing needs.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Call, type CallShape, type Method } from "./Call.ts"

export interface Aspect<out E2 = never, out R2 = never> {
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2>
}

/** The two ends of a call. `S` is what `start` hands to `end`; `services` are those of the call's fiber. Neither may throw. */
export interface Observer<S, E2 = never, R2 = never> {
  readonly start: (call: CallShape, services: Context.Context<R2>) => S
  /** Sees how the call ended. A cause that it returns takes the place of a failure; it cannot touch a success. */
  readonly end: (call: CallShape, exit: Exit.Exit<unknown, unknown>, state: S, services: Context.Context<R2>) => Cause.Cause<E2> | void
}

/** What a stack is made of, outermost first. */
type Part =
  | { readonly _tag: "Wrap"; readonly aspect: Aspect<unknown, unknown> }
  | { readonly _tag: "Observe"; readonly observer: AnyObserver }
  | { readonly _tag: "When"; readonly test: Test; readonly parts: ReadonlyArray<Part> }

type AnyObserver = Observer<unknown, unknown, never>

/** Which calls an aspect is for: known from the method alone, or only from the call. */
export type Test =
  | { readonly _tag: "Method"; readonly matches: (method: Method) => boolean }
  | { readonly _tag: "Call"; readonly matches: (call: CallShape) => boolean }

const PartsId: unique symbol = Symbol.for("~@effect-kratos/core/Aspect/parts")

interface WithParts {
  readonly [PartsId]?: ReadonlyArray<Part>
}

/** Changes nothing. */
export const identity: Aspect = (call) => call

/** Composes aspects; the first is outermost. */
export const compose = <const Aspects extends ReadonlyArray<Aspect<any, any>>>( // oxlint-disable-line typescript/no-explicit-any -- `any` matches every aspect; the result's types are inferred
  ...aspects: Aspects
): Aspect<ErrorOf<Aspects[number]>, ServicesOf<Aspects[number]>> =>
  fromParts<ErrorOf<Aspects[number]>, ServicesOf<Aspects[number]>>(aspects.flatMap(partsOf))

export type ErrorOf<A> = A extends Aspect<infer E2, infer _R2> ? E2 : never
export type ServicesOf<A> = A extends Aspect<infer _E2, infer R2> ? R2 : never

/** An aspect that looks at both ends of a call. Alone it is an ordinary aspect; in a stack it costs two function calls. */
export const observe = <S, E2 = never, R2 = never>(observer: Observer<S, E2, R2>): Aspect<E2, R2> =>
  // S, E2 and R2 come back out in the returned type; inside a stack they are opaque
  fromParts<E2, R2>([{ _tag: "Observe", observer: observer as unknown as AnyObserver }])

/** Applies `aspect` only where `test` holds. */
export const when =
  (test: Test) =>
  <E2, R2>(aspect: Aspect<E2, R2>): Aspect<E2, R2> =>
    fromParts<E2, R2>([{ _tag: "When", test, parts: partsOf(aspect) }])

/** A stack made ready for one method: `hooks` run as plain functions around the call's fiber (outermost first), `wrap` inside it. */
export interface Compiled {
  readonly hooks: ReadonlyArray<AnyObserver>
  readonly wrap: Aspect<unknown, unknown> | undefined
}

/** Compiles an aspect for a method, once, when a server or a client is built: what does not concern the method is gone afterwards. */
export const compile = (aspect: Aspect<unknown, unknown>, method: Method): Compiled => {
  const parts = resolve(partsOf(aspect), method)
  const inner = parts.findIndex((part) => part._tag !== "Observe")
  const hooks = (inner < 0 ? parts : parts.slice(0, inner)).map((part) => (part as Part & { _tag: "Observe" }).observer) // by findIndex
  return { hooks, wrap: inner < 0 ? undefined : (call) => apply(parts.slice(inner), call) }
}

const partsOf = (aspect: Aspect<unknown, unknown>): ReadonlyArray<Part> =>
  (aspect as WithParts)[PartsId] ?? (aspect === identity ? [] : [{ _tag: "Wrap", aspect }])

const fromParts = <E2, R2>(parts: ReadonlyArray<Part>): Aspect<E2, R2> => {
  const aspect = (call: Effect.Effect<unknown, unknown, unknown>) => apply(parts, call)
  // the parts lost E2 and R2 on their way in; the exported signatures above say them
  return Object.assign(aspect, { [PartsId]: parts }) as unknown as Aspect<E2, R2>
}

const resolve = (parts: ReadonlyArray<Part>, method: Method): ReadonlyArray<Part> =>
  parts.flatMap((part) => {
    if (part._tag !== "When") return [part]
    if (part.test._tag === "Method") return part.test.matches(method) ? resolve(part.parts, method) : []
    return [{ ...part, parts: resolve(part.parts, method) }]
  })

const apply = <A, E, R>(parts: ReadonlyArray<Part>, call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let effect = call
  for (let i = parts.length - 1; i >= 0; i--) {
    const part = parts[i]!
    // Wrap and Observe add to E and R what `compose` has put into the stack's type
    if (part._tag === "Wrap") effect = part.aspect(effect) as Effect.Effect<A, E, R>
    else if (part._tag === "Observe") effect = around(part.observer, effect)
    else effect = guarded(part.test, part.parts, effect)
  }
  return effect
}

const guarded = <A, E, R>(test: Test, parts: ReadonlyArray<Part>, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  withCall((call) => (test.matches(call) ? apply(parts, effect) : effect))

const around = <A, E, R>(observer: AnyObserver, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  withCall((call, services) => {
    const state = observer.start(call, services)
    let replacement: Cause.Cause<unknown> | void = undefined
    return effect.pipe(
      Effect.onExit((exit) => Effect.sync(() => void (replacement = observer.end(call, exit, state, services)))),
      Effect.catchCause((cause) => Effect.failCause((replacement ?? cause) as Cause.Cause<E>)) // E2 is in the stack's type
    )
  })

const withCall = <A, E, R>(f: (call: CallShape, services: Context.Context<never>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => f(Context.getUnsafe(fiber.context, Call), fiber.context))

/** Runs the `start` of each hook, outermost first. The states go to `end`. */
export const start = (hooks: Compiled["hooks"], call: CallShape, services: Context.Context<never>): Array<unknown> | undefined => {
  if (hooks.length === 0) return undefined
  const states: Array<unknown> = []
  for (let i = 0; i < hooks.length; i++) states.push(hooks[i]!.start(call, services))
  return states
}

/** Runs the `end` of each hook, innermost first, and returns the exit as the outermost leaves it. */
export const end = <A, E>(
  hooks: Compiled["hooks"],
  call: CallShape,
  exit: Exit.Exit<A, E>,
  states: Array<unknown> | undefined,
  services: Context.Context<never>
): Exit.Exit<A, unknown> => {
  let result: Exit.Exit<A, unknown> = exit
  for (let i = hooks.length - 1; i >= 0; i--) {
    const replacement = hooks[i]!.end(call, result, states![i], services)
    if (replacement !== undefined && Exit.isFailure(result)) result = Exit.failCause(replacement)
  }
  return result
}
