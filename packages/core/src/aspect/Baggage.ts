/**
 * W3C Baggage: names and values that travel with a trace through all services. `Tracing.server` takes them from a call, `Tracing.client` sends
 * them on; handlers read and change them here. Values are for everyone on the way to see: nothing secret belongs into them.
 */
import * as Effect from "effect/Effect"
import * as TraceHeaders from "./TraceHeaders.ts"

/** What the call that this fiber works for brought, and what was added on the way. Entries that are not well formed are passed over. */
export const current: Effect.Effect<ReadonlyMap<string, string>> = Effect.map(TraceHeaders.Carried, ({ baggage }) => parse(baggage ?? ""))

/** One value of the baggage. */
export const get = (key: string): Effect.Effect<string | undefined> => Effect.map(current, (baggage) => baggage.get(key))

/**
 * Adds to the baggage of the calls that `effect` makes; undefined removes. Keys that are no tokens (RFC 9110), and entries that would make the
 * whole longer than 8192 characters, which everyone carries, are left out. Properties of entries that came in are kept.
 */
const withBaggage =
  (values: Readonly<Record<string, string | undefined>>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateService(effect, TraceHeaders.Carried, ({ baggage, tracestate }) => {
      const kept = (baggage ?? "").split(",").filter((member) => member.trim() !== "" && !(keyOf(member) in values))
      let length = kept.reduce((sum, member) => sum + member.length + 1, -1)
      for (const [key, value] of Object.entries(values)) {
        if (value === undefined || !token.test(key)) continue
        const member = `${key}=${encodeURIComponent(value.toWellFormed())}`
        if (length + member.length + 1 > LIMIT) continue
        kept.push(member)
        length += member.length + 1
      }
      return {
        ...(tracestate === undefined ? undefined : { tracestate }),
        ...(kept.length === 0 ? undefined : { baggage: kept.join(",") })
      }
    })

export { withBaggage as with }

const LIMIT = 8192
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

const keyOf = (member: string): string => member.split("=", 1)[0]!.trim()

const parse = (text: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const member of text.split(",")) {
    // properties of an entry, behind a semicolon, have no defined meaning
    const [key = "", value] = member.split(";", 1)[0]!.split(/=(.*)/s)
    if (value === undefined || !token.test(key.trim())) continue
    try {
      found.set(key.trim(), decodeURIComponent(value.trim()))
    } catch {
      continue
    }
  }
  return found
}
