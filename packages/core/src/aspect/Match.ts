/**
 * Aspects for some calls only: `Match.prefix(["/user.v1."])(Auth.server)`.
 *
 * What the method alone decides is decided once, when the server or the client is built; the other methods pay nothing. Kratos' rules
 * hold (any rule of a list suffices, a pattern must match the whole operation) except that a pattern that does not compile is an error
 * where it is written, and not a rule that silently never holds.
 */
import * as Aspect from "../Aspect.ts"
import type { CallShape, Kind, Method } from "../Call.ts"

/** Restricts an aspect to the calls that match. */
export interface Match {
  <E2, R2>(aspect: Aspect.Aspect<E2, R2>): Aspect.Aspect<E2, R2>
  readonly test: Aspect.Test
}

const make = (test: Aspect.Test): Match => Object.assign(Aspect.when(test), { test })

/** Matches by what is known of the method before any call. */
export const method = (matches: (method: Method) => boolean): Match => make({ _tag: "Method", matches })

/** Matches by the call itself, its metadata for example. Asked once for each call. */
export const predicate = (matches: (call: CallShape) => boolean): Match => make({ _tag: "Call", matches })

/** Matches operations that are in the list. */
export const path = (operations: ReadonlyArray<string>): Match => {
  const set = new Set(operations)
  return method(({ operation }) => set.has(operation))
}

/** Matches operations that begin with one of the list. */
export const prefix = (prefixes: ReadonlyArray<string>): Match =>
  method(({ operation }) => prefixes.some((prefix) => operation.startsWith(prefix)))

/** Matches operations that one of the patterns matches from beginning to end. Throws an `Error` that names the pattern when one does not compile. */
export const regex = (patterns: ReadonlyArray<string | RegExp>): Match => {
  const whole = patterns.map(anchored)
  return method(({ operation }) => whole.some((pattern) => pattern.test(operation)))
}

/** Matches the given kinds of method, streams for example. */
export const kind = (kinds: ReadonlyArray<Kind>): Match => method(({ kind }) => kinds.includes(kind))

/** Matches what at least one of `matches` does; nothing when there are none. */
export const any = (...matches: ReadonlyArray<Match>): Match => combine(matches, (one, call) => matches.some(({ test }) => one(test, call)))

/** Matches what each of `matches` does; everything when there are none. */
export const all = (...matches: ReadonlyArray<Match>): Match =>
  combine(matches, (one, call) => matches.every(({ test }) => one(test, call)))

/** Matches what `match` does not. */
export const not = (match: Match): Match => combine([match], (one, call) => !one(match.test, call))

/** Stays a test of the method as long as nothing in it needs the call. */
const combine = <C extends Method>(
  matches: ReadonlyArray<Match>,
  decide: (one: (test: Aspect.Test, call: C) => boolean, call: C) => boolean
): Match => {
  // a test of the call is only asked with a call: the branch below that passes a method is taken when there is none of them
  const one = (test: Aspect.Test, call: Method): boolean => test.matches(call as CallShape)
  return matches.every(({ test }) => test._tag === "Method")
    ? method((method) => decide(one, method as C))
    : predicate((call) => decide(one, call as Method as C))
}

const anchored = (pattern: string | RegExp): RegExp => {
  const source = typeof pattern === "string" ? pattern : pattern.source
  // `g` and `y` keep a position between calls
  const flags = typeof pattern === "string" ? "" : pattern.flags.replace(/[gy]/g, "")
  try {
    // compiled alone first: `a)(b` must not become valid inside the group
    return new RegExp(`^(?:${new RegExp(source, flags).source})$`, flags)
  } catch (cause) {
    throw new Error(`Match.regex: the pattern ${JSON.stringify(source)} does not compile`, { cause })
  }
}
