/**
 * An aspect is a function from the effect of a call to an effect: Kratos' middleware with its errors and needs in the type.
 *
 * The effect that an aspect wraps is the whole call, for all four kinds of method: for streams it ends when the last message is written.
 * An aspect that only looks at the start and the end of a call is made with `observe`; a stack fuses neighbouring observers into plain
 * functions around the call's fiber, which is three times cheaper than combinators. `compose` keeps what fusing needs.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Call, type CallShape, type Method } from "./Call.ts"

export interface Aspect<out E2 = never, out R2 = never> {
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2>
  readonly [AddsId]?: readonly [error: E2, services: R2]
}

/** In types only: TypeScript does not read what a generic signature adds. */
declare const AddsId: unique symbol

/** An aspect that gives a service to the handler: `P` is no need of the call any more. */
export interface Provider<in out P, out E2 = never, out R2 = never> extends Aspect<E2, R2> {
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, Exclude<R, P> | R2>
  readonly [ProvidesId]: P
}

/** In types only. */
declare const ProvidesId: unique symbol

/** Makes a provider of a function that provides `P` to every call that it runs. */
export const provider = <P, E2, R2>(
  wrap: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2, Exclude<R, P> | R2>
): Provider<P, E2, R2> => wrap as Provider<P, E2, R2> // the symbol is in types only

/**
 * The two ends of a call. `S` is what `start` hands to `end`; `services` are those of the call's fiber. Both run inside the call, so they
 * must be quick; what they throw becomes a defect of the call, which then is not run any further.
 */
export interface Observer<S, E2 = never, R2 = never> {
  /**
   * May refuse the call with `reject`: it then ends at once with that error, without a fiber, and neither what is further in nor this
   * observer's own `end` sees it.
   */
  readonly start: (call: CallShape, services: Context.Context<R2>) => S | Rejected<E2>
  /**
   * Sees how the call ended, interrupts included. A cause that it returns takes the place of a failure or a defect; it cannot touch a
   * success or an interrupt.
   */
  readonly end: (call: CallShape, exit: Exit.Exit<unknown, unknown>, state: S, services: Context.Context<R2>) => Cause.Cause<E2> | void
}

/** What `start` returns in place of a state to refuse a call. */
export class Rejected<out E2> {
  readonly exit: Exit.Exit<never, E2>
  constructor(exit: Exit.Exit<never, E2>) {
    this.exit = exit
  }
}

/** Refuses a call with `error`. One refusal may serve any number of calls, which makes it cost next to nothing. */
export const reject = <E2>(error: E2): Rejected<E2> => new Rejected(Exit.fail(error))

/** What a stack is made of, outermost first. */
type Part =
  | {
      readonly _tag: "Wrap"
      readonly aspect: Aspect<unknown, unknown>
      readonly context?: ContextOf
      readonly closes?: AnyObserver
      readonly punctual?: Aspect<unknown, unknown>
    }
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

/** The context for a call of which an aspect wants nothing else; undefined where it must wrap the call. */
export type ContextOf = (call: CallShape, services: Context.Context<never>) => Context.Context<never> | undefined

/**
 * An aspect that for most calls does no more than choose their context, as `context` says. In front of a stack it then costs a function call.
 * With `end` it also sees how the call ended, with the context that was chosen; `context` then opens what `end` closes, so it may not return
 * undefined.
 */
export const contextual = <E2, R2>(
  aspect: Aspect<E2, R2>,
  context: ContextOf,
  end?: (call: CallShape, exit: Exit.Exit<unknown, unknown>, services: Context.Context<never>) => void
): Aspect<E2, R2> => {
  if (end === undefined) return fromParts<E2, R2>([{ _tag: "Wrap", aspect, context }])
  const closes: AnyObserver = { start: () => undefined, end: (call, exit, _, services) => end(call, exit, services) }
  return fromParts<E2, R2>([{ _tag: "Wrap", aspect, context, closes }])
}

/**
 * An aspect with a second form, for effects that end by themselves when `Deadline.Current` has passed, as the wires of clients do: `forMethod` takes it where
 * nothing stands between the two but observers.
 */
export const withPunctual = <E2, R2>(aspect: Aspect<E2, R2>, punctual: Aspect<E2, R2>): Aspect<E2, R2> =>
  fromParts<E2, R2>([{ _tag: "Wrap", aspect, punctual }])

/** Changes nothing. */
export const identity: Aspect = (call) => call

/**
 * Composes aspects; the first is outermost. One written as a bare generic function needs its type said (`const a: Aspect<E2> = (call) => …`):
 * TypeScript does not read what a generic signature adds.
 */
export const compose = <const Aspects extends ReadonlyArray<Aspect<unknown, unknown>>>(...aspects: Aspects): Composed<Aspects> =>
  // what it provides, Composed says
  fromParts<ErrorOf<Aspects[number]>, NeedsOf<Aspects>>(aspects.flatMap(partsOf)) as Composed<Aspects>

/** A stack of aspects, outermost first: a provider when one of them is. */
export type Composed<Aspects extends ReadonlyArray<Aspect<unknown, unknown>>> = [ProvidesOf<Aspects[number]>] extends [never]
  ? Aspect<ErrorOf<Aspects[number]>, ServicesOf<Aspects[number]>>
  : Provider<ProvidesOf<Aspects[number]>, ErrorOf<Aspects[number]>, NeedsOf<Aspects>>

export type ErrorOf<A> = A extends Provider<infer _P, infer E2, infer _R2> ? E2 : A extends Aspect<infer E2, infer _R2> ? E2 : never
export type ServicesOf<A> = A extends Provider<infer _P, infer _E2, infer R2> ? R2 : A extends Aspect<infer _E2, infer R2> ? R2 : never
/** What an aspect gives to the handler. */
export type ProvidesOf<A> = A extends Provider<infer P, infer _E2, infer _R2> ? P : never
/** What a stack needs, less what those further out provide. */
type NeedsOf<Aspects extends ReadonlyArray<unknown>> = Aspects extends readonly [infer First, ...infer Rest]
  ? ServicesOf<First> | Exclude<NeedsOf<Rest>, ProvidesOf<First>>
  : ServicesOf<Aspects[number]>

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
export interface Stack {
  readonly hooks: ReadonlyArray<AnyObserver>
  readonly wrap: Aspect<unknown, unknown> | undefined
}

export interface Compiled extends Stack {
  /** What is left of the stack for calls of which its first aspects want no more than another context. */
  readonly light?: Stack & { readonly contexts: ReadonlyArray<ContextOf> }
}

/** Compiles an aspect for a method, once, when a server or a client is built: what does not concern the method is gone afterwards. */
export const compile = (aspect: Aspect<unknown, unknown>, method: Method): Compiled => {
  const parts = resolve(partsOf(aspect), method)
  const contexts: Array<ContextOf> = []
  const closers: Array<AnyObserver> = []
  for (const part of parts) {
    // one that may give up cannot come after one that has opened something
    if (part._tag !== "Wrap" || part.context === undefined || (closers.length > 0 && part.closes === undefined)) break
    contexts.push(part.context)
    if (part.closes !== undefined) closers.push(part.closes)
  }
  if (contexts.length === 0) return split(parts)
  const { hooks, wrap } = split(parts.slice(contexts.length))
  return { ...split(parts), light: { hooks: [...closers, ...hooks], wrap, contexts } }
}

/** The context that `contexts` choose for a call, one after the other; undefined when one of them must wrap it, or has thrown and should do so where it is seen. */
export const contextOf = (
  contexts: ReadonlyArray<ContextOf>,
  call: CallShape,
  services: Context.Context<never>
): Context.Context<never> | undefined => {
  let chosen: Context.Context<never> | undefined = services
  try {
    for (let i = 0; i < contexts.length && chosen !== undefined; i++) chosen = contexts[i]!(call, chosen)
  } catch {
    return undefined
  }
  return chosen
}

const split = (parts: ReadonlyArray<Part>): Stack => {
  const hooks: Array<AnyObserver> = []
  let inner = 0
  for (; inner < parts.length; inner++) {
    const part = parts[inner]!
    if (part._tag !== "Observe") break
    hooks.push(part.observer)
  }
  if (inner === parts.length) return { hooks, wrap: undefined }
  const rest = fuse(parts.slice(inner))
  return { hooks, wrap: (call) => apply(rest, call) }
}

/**
 * The aspect for one method, as one function: what does not concern the method is gone, neighbouring observers are fused. `punctual`: what it will be applied to
 * ends by itself when `Deadline.Current` has passed.
 */
export const forMethod = <E2, R2>(
  aspect: Aspect<E2, R2>,
  method: Method,
  { punctual = false }: { readonly punctual?: boolean | undefined } = {}
): Aspect<E2, R2> => {
  const parts = resolve(partsOf(aspect), method)
  return fromParts<E2, R2>(fuse(punctual ? aroundPunctual(parts) : parts))
}

/** The parts with their second forms, from the innermost out to the first that may take time of its own. */
const aroundPunctual = (parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  const own = parts.findLastIndex((part) => part._tag !== "Observe" && (part._tag !== "Wrap" || part.punctual === undefined))
  return parts.map((part, i): Part =>
    i > own && part._tag === "Wrap" && part.punctual !== undefined ? { _tag: "Wrap", aspect: part.punctual } : part
  )
}

const partsOf = (aspect: Aspect<unknown, unknown>): ReadonlyArray<Part> =>
  (aspect as WithParts)[PartsId] ?? (aspect === identity ? [] : [{ _tag: "Wrap", aspect }])

const fromParts = <E2, R2>(parts: ReadonlyArray<Part>): Aspect<E2, R2> => {
  const aspect = (call: Effect.Effect<unknown, unknown, unknown>) => apply(parts, call)
  // the parts lost E2 and R2 on their way in; the exported signatures above say them
  return Object.assign(aspect, { [PartsId]: parts }) as unknown as Aspect<E2, R2>
}

/** Decides what the method alone decides, and turns observers behind a test of the call into one observer that tests first. */
const resolve = (parts: ReadonlyArray<Part>, method: Method): ReadonlyArray<Part> =>
  parts.flatMap((part): ReadonlyArray<Part> => {
    if (part._tag !== "When") return [part]
    const { test } = part
    if (test._tag === "Method") return test.matches(method) ? resolve(part.parts, method) : []
    const inner = resolve(part.parts, method)
    if (inner.length === 0) return []
    return inner.every(isObserve)
      ? [
          {
            _tag: "Observe",
            observer: group(
              inner.map((part) => part.observer),
              test.matches
            )
          }
        ]
      : [{ ...part, parts: fuse(inner) }]
  })

/** Makes one observer of neighbouring ones, so that a run of them costs one combinator. */
const fuse = (parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  const fused: Array<Part> = []
  let run: Array<AnyObserver> = []
  const flush = () => {
    if (run.length > 0) fused.push({ _tag: "Observe", observer: run.length === 1 ? run[0]! : group(run) })
    run = []
  }
  for (const part of parts) {
    if (part._tag === "Observe") run.push(part.observer)
    else {
      flush()
      fused.push(part)
    }
  }
  flush()
  return fused
}

const isObserve = (part: Part): part is Part & { readonly _tag: "Observe" } => part._tag === "Observe"

/** Several observers as one, for the calls that match. */
const group = (hooks: ReadonlyArray<AnyObserver>, matches?: (call: CallShape) => boolean): AnyObserver => ({
  start: (call, services) => {
    if (matches !== undefined && !matches(call)) return undefined
    const states = start(hooks, call, services)
    const refused = rejection(states)
    // whoever runs this observer does not end what was refused in its middle, so that its outer half ends here
    return refused === undefined ? states : new Rejected(end(hooks, call, refused.exit, states, services) as Exit.Exit<never, unknown>) // a failure stays one
  },
  end: (call, exit, states, services) => {
    if (states === undefined) return undefined
    // `states` is what `start` above has returned
    const result = end(hooks, call, exit, states as Array<unknown>, services)
    if (result === exit || Exit.isSuccess(result)) return undefined
    // only a hook that threw makes a failure of a success; whoever runs this observer makes it a defect again
    if (Exit.isSuccess(exit)) throw Cause.squash(result.cause)
    return result.cause
  }
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
    if (state instanceof Rejected) return state.exit as Exit.Exit<never, E> // E2 is in the stack's type
    let replacement: Cause.Cause<unknown> | void = undefined
    return effect.pipe(
      Effect.onExit((exit) => {
        const cause = observer.end(call, exit, state, services)
        if (Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause)) replacement = cause
        return Effect.void
      }),
      Effect.catchCause((cause) => Effect.failCause((replacement ?? cause) as Cause.Cause<E>)) // E2 is in the stack's type
    )
  })

const withCall = <A, E, R>(f: (call: CallShape, services: Context.Context<never>) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => f(Context.getUnsafe(fiber.context, Call), fiber.context))

/**
 * Runs the `start` of each hook, outermost first, up to one that refuses the call or throws: ask `rejection`. The states go to `end`.
 */
export const start = (hooks: Compiled["hooks"], call: CallShape, services: Context.Context<never>): Array<unknown> | undefined => {
  if (hooks.length === 0) return undefined
  const states: Array<unknown> = []
  for (let i = 0; i < hooks.length; i++) {
    try {
      const state = hooks[i]!.start(call, services)
      states.push(state)
      if (state instanceof Rejected) break
    } catch (thrown) {
      states.push(new Rejected(Exit.die(thrown)))
      break
    }
  }
  return states
}

/** The refusal with which `start` ended, if it did: the call is not run then, and its exit goes to `end` as it is. */
export const rejection = (states: Array<unknown> | undefined): Rejected<unknown> | undefined => {
  const last = states === undefined ? undefined : states[states.length - 1]
  return last instanceof Rejected ? last : undefined
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
  if (states === undefined) return result
  for (let i = states.length - 1; i >= 0; i--) {
    const state = states[i]
    if (state instanceof Rejected) continue
    try {
      const replacement = hooks[i]!.end(call, result, state, services)
      if (replacement !== undefined && Exit.isFailure(result) && !Cause.hasInterrupts(result.cause)) result = Exit.failCause(replacement)
    } catch (thrown) {
      result = Exit.die(thrown)
    }
  }
  return result
}
