/** Laws that a journal is held against, and the measures that they are made of. */
import type { ClientEntry, ServerEntry } from "./Journal.ts"
import * as Verdict from "./Verdict.ts"

type Calls = ReadonlyArray<ClientEntry>
type Executions = ReadonlyArray<ServerEntry>

/** The value below which the share `p` (0 to 1) of the values lies, by the nearest rank; NaN of none. */
export const percentile = (values: ReadonlyArray<number>, p: number): number => {
  if (values.length === 0) return NaN
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? NaN
}

/** Milliseconds that the calls took that have ended. */
export const durations = (calls: Calls): ReadonlyArray<number> =>
  calls.flatMap(({ end, start }) => (end === undefined ? [] : [end - start]))

/** Every call came to its end with success, and there was one. */
export const noneFailed = (calls: Calls, law = "failed calls"): Verdict.Law => {
  const failed = calls.filter(({ outcome }) => outcome !== "ok")
  if (calls.length === 0) return { law, holds: false, measured: "no call was made", bound: "0" }
  return Verdict.none(
    law,
    failed.map(
      ({ id, message, outcome }) => `call ${id}: ${outcome === "" ? "has not ended" : outcome}${message === "" ? "" : `, ${message}`}`
    )
  )
}

/** Attempts per call. */
export const attempts = (calls: Calls): number => calls.reduce((sum, { attempts }) => sum + attempts, 0) / calls.length

/** Retries do not multiply the load. */
export const attemptsAtMost = (calls: Calls, ratio: number): Verdict.Law => Verdict.atMost("attempts per call", attempts(calls), ratio)

/** What may not be executed twice is not. */
export const nothingTwice = (calls: Calls, executions: Executions): Verdict.Law => {
  const once = new Set(calls.flatMap(({ id, idempotent }) => (idempotent ? [] : [id])))
  const seen = new Set<string>()
  const twice = new Set<string>()
  for (const { event, id } of executions) {
    if (event !== "started" || !once.has(id)) continue
    if (seen.has(id)) twice.add(id)
    seen.add(id)
  }
  return Verdict.none(`of ${once.size} calls that are not idempotent, executed twice`, [...twice])
}

/** What the caller was told was done has been done: each call that succeeded was executed. */
export const everyExecuted = (calls: Calls, executions: Executions): Verdict.Law => {
  const seen = new Set(executions.flatMap(({ event, id }) => (event === "started" ? [id] : [])))
  return Verdict.none(
    "successful calls that nobody executed",
    calls.flatMap(({ id, outcome }) => (outcome === "ok" && !seen.has(id) ? [id] : []))
  )
}

/** Each execution that began has ended, unless its node was killed. */
export const noneLeft = (executions: Executions): Verdict.Law => {
  const open = new Map<string, number>()
  for (const { event, id, node } of executions) {
    if (event === "finalized") continue
    const key = `${id} on ${node}`
    const left = (open.get(key) ?? 0) + (event === "started" ? 1 : -1)
    if (left === 0) open.delete(key)
    else open.set(key, left)
  }
  return Verdict.none("executions that did not end", [...open.keys()])
}
