/**
 * The headers in which a trace travels: `traceparent` (W3C Trace Context; any version that keeps the form of version 00, as it asks),
 * and B3 in one header or several, read but not written. `tracestate` and `baggage` are handed on as they came, within the sizes that
 * their specifications oblige everyone to carry; longer ones are dropped.
 */
import * as Context from "effect/Context"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Headers from "effect/http/Headers"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Metadata, MutableMetadata } from "../Metadata.ts"

/** What a trace carries beside its identity. */
export interface Carried {
  readonly tracestate?: string
  readonly baggage?: string
}

const none: Carried = {}

/** What came with the call that this fiber works for. */
export const Carried: Context.Reference<Carried> = Context.Reference<Carried>("@effect-kratos/core/aspect/TraceHeaders/Carried", {
  defaultValue: () => none
})

const names = ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"]

/** The span that the caller names as parent; undefined when it names none, or not in a form that it could have. */
export const extract = (metadata: Metadata): Tracer.ExternalSpan | undefined => {
  let headers: Record<string, string> | undefined = undefined
  for (const name of names) {
    const values = metadata.get(name)
    // twice is as good as never: nobody could tell which one holds
    if (values === undefined || values.length !== 1) continue
    headers ??= {}
    headers[name] = name === "traceparent" ? versionZero(values[0]!) : values[0]!
  }
  return headers === undefined ? undefined : Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromRecordUnsafe(headers)))
}

/** A later version has the fields of version 00 first, and may have more. */
const versionZero = (traceparent: string): string => {
  if (traceparent.startsWith("00-") || traceparent.startsWith("ff-") || !/^[0-9a-f]{2}-/.test(traceparent)) return traceparent
  return traceparent.length === 55 || traceparent[55] === "-" ? `00${traceparent.slice(2, 55)}` : traceparent
}

/** `tracestate` (at most 512 characters, and only beside a trace) and `baggage` (at most 8192). */
export const extractCarried = (metadata: Metadata, traced: boolean): Carried => {
  const tracestate = traced ? joined(metadata, "tracestate", 512) : undefined
  const baggage = joined(metadata, "baggage", 8192)
  if (tracestate === undefined && baggage === undefined) return none
  return { ...(tracestate === undefined ? undefined : { tracestate }), ...(baggage === undefined ? undefined : { baggage }) }
}

const joined = (metadata: Metadata, key: string, limit: number): string | undefined => {
  const values = metadata.get(key)
  if (values === undefined) return undefined
  const text = values.join(",")
  return text === "" || text.length > limit ? undefined : text
}

/** Names `span` as the parent of a call, in place of what an earlier attempt wrote. */
export const inject = (request: MutableMetadata, span: Tracer.AnySpan): void => {
  request.set("traceparent", [`00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`])
}

/** Hands on what came in, unless the request has its own. */
export const injectCarried = (request: MutableMetadata, carried: Carried, traced: boolean): void => {
  if (traced && carried.tracestate !== undefined && !request.has("tracestate")) request.set("tracestate", [carried.tracestate])
  if (carried.baggage !== undefined && !request.has("baggage")) request.set("baggage", [carried.baggage])
}
