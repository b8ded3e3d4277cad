/**
 * How much a call matters when not all can be served: the four classes of "Handling Overload" in Google's SRE book. A server that runs out
 * of CPU sheds the cheap first (`RateLimit`), and a call's class goes on to the calls that its handler makes.
 *
 * The class travels as `x-md-global-priority`, which services that know nothing of priorities hand on as well, Kratos' among them. A call
 * without one is `CRITICAL`. Who may claim what is for the server to say: `Options.ceiling`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Aspect from "../Aspect.ts"
import { Call, type CallShape } from "../Call.ts"

/**
 * `CRITICAL_PLUS`: serious, user-visible impact when it fails; `CRITICAL`: the default of calls; `SHEDDABLE_PLUS`: partial loss is expected,
 * batch work that tries again; `SHEDDABLE`: may fail often, or for a while always.
 */
export type Priority = "CRITICAL_PLUS" | "CRITICAL" | "SHEDDABLE_PLUS" | "SHEDDABLE"

/** The most important first. */
export const all: ReadonlyArray<Priority> = ["CRITICAL_PLUS", "CRITICAL", "SHEDDABLE_PLUS", "SHEDDABLE"]

/** The metadata key under which a class travels. */
export const key = "x-md-global-priority"

/** The class of the calls that this fiber makes; undefined when nothing was said, which counts as `CRITICAL`. */
export const Current: Context.Reference<Priority | undefined> = Context.Reference<Priority | undefined>(
  "@effect-kratos/core/aspect/Priority",
  { defaultValue: () => undefined }
)

const ranks: ReadonlyMap<string, number> = new Map(all.map((priority, rank) => [priority, rank]))

/** 0 for the most important. */
export const rank = (priority: Priority): number => ranks.get(priority)!

const isPriority = (text: string): text is Priority => ranks.has(text)

/** The class that a call claims; undefined when it claims none, or one that does not exist. */
export const claimed = ({ request }: Pick<CallShape, "request">): Priority | undefined => {
  const text = request.get(key)?.[0]?.toUpperCase()
  return text !== undefined && isPriority(text) ? text : undefined
}

/** The less important of two. */
export const min = (a: Priority, b: Priority): Priority => (rank(a) >= rank(b) ? a : b)

/** Gives a class to the calls that `effect` makes. */
const withPriority =
  (priority: Priority) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Current, priority)

export { withPriority as with }

export interface Options {
  /** The highest class that a call may claim; a higher one is lowered to it. Default: what it claims. */
  readonly ceiling?: ((call: CallShape) => Priority) | undefined
}

/** Takes a call's class over for the calls that its handler makes. In front of `RateLimit`, so that it is what the call may claim that counts there. */
export const makeServer = (options: Options = {}): Aspect.Aspect => {
  const { ceiling } = options
  const priorityOf = (call: CallShape): Priority | undefined => {
    const wanted = claimed(call)
    return ceiling === undefined ? wanted : min(wanted ?? "CRITICAL", ceiling(call))
  }
  const wrap: Aspect.Aspect = (effect) =>
    Effect.withFiber((fiber) => Effect.provideService(effect, Current, priorityOf(Context.getUnsafe(fiber.context, Call))))
  return Aspect.contextual(wrap, (call, services) => {
    const priority = priorityOf(call)
    // also when there is none, should this call be served inside another one
    return priority === Context.get(services, Current) ? services : Context.add(services, Current, priority)
  })
}

/** Sends the class of the fiber, in place of one that is there already: `MetadataPropagation` would hand on what the caller claimed. */
export const client: Aspect.Aspect = Aspect.observe({
  start: ({ request }, services) => {
    const priority = Context.get(services, Current)
    if (priority !== undefined) request.set(key, [priority])
  },
  end: () => undefined
})

export const server: Aspect.Aspect = makeServer()
