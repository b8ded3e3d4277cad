/**
 * The headers in which a trace travels: `traceparent` (W3C Trace Context; any version that keeps the form of version 00, as it asks), and B3
 * in one header or several. `tracestate` and `baggage` are handed on as they came, within the sizes that their specifications oblige everyone
 * to carry; longer ones are dropped.
 */
import * as Context from "effect/Context"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Headers from "effect/http/Headers"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Metadata, MutableMetadata } from "../Metadata.ts"

/** Which of them are read and written. */
export interface Propagators {
  readonly traceContext: boolean
  readonly baggage: boolean
  /** `read`: as a caller's, never written; `single` and `multi` are written in one header `b3` or in several. */
  readonly b3: "none" | "read" | "single" | "multi"
}

/** Default: Trace Context and Baggage, and B3 read where a caller sends nothing else. */
export const Propagators: Context.Reference<Propagators> = Context.Reference<Propagators>(
  "@effect-kratos/core/aspect/TraceHeaders/Propagators",
  {
    defaultValue: () => standard
  }
)

const standard: Propagators = { traceContext: true, baggage: true, b3: "read" }

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

const b3Names = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"]

/** The span that the caller names as parent; undefined when it names none, or not in a form that it could have. */
export const extract = (metadata: Metadata, propagators: Propagators = standard): Tracer.ExternalSpan | undefined => {
  // twice is as good as never: nobody could tell which one holds
  const traceparents = propagators.traceContext ? metadata.get("traceparent") : undefined
  if (traceparents !== undefined && traceparents.length === 1) {
    const parent = parse(traceparents[0]!)
    if (parent !== undefined) return parent
  }
  return propagators.b3 === "none" ? undefined : extractB3(metadata)
}

/** Version 00, and what a later one has in common with it: the same fields first, and perhaps more. */
const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/

const parse = (traceparent: string): Tracer.ExternalSpan | undefined => {
  const [whole, version, traceId, spanId, flags] = traceparentForm.exec(traceparent) ?? []
  if (whole === undefined || version === "ff" || (version === "00" && traceparent.length !== 55)) return undefined
  if (traceId === invalidTraceId || spanId === invalidSpanId) return undefined
  return Tracer.externalSpan({ traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 })
}

const invalidTraceId = "0".repeat(32)
const invalidSpanId = "0".repeat(16)

const extractB3 = (metadata: Metadata): Tracer.ExternalSpan | undefined => {
  let headers: Record<string, string> | undefined = undefined
  for (const name of b3Names) {
    const values = metadata.get(name)
    if (values === undefined || values.length !== 1) continue
    headers ??= {}
    headers[name] = values[0]!
  }
  return headers === undefined ? undefined : Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromRecordUnsafe(headers)))
}

/** `tracestate` (at most 512 characters, and only beside a trace) and `baggage` (at most 8192). */
export const extractCarried = (metadata: Metadata, traced: boolean, propagators: Propagators = standard): Carried => {
  const tracestate = traced && propagators.traceContext ? joined(metadata, "tracestate", 512) : undefined
  const baggage = propagators.baggage ? joined(metadata, "baggage", 8192) : undefined
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
export const inject = (request: MutableMetadata, span: Tracer.AnySpan, propagators: Propagators = standard): void => {
  const traceId = span.traceId.padStart(32, "0")
  if (propagators.traceContext) request.set("traceparent", [`00-${traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`])
  if (propagators.b3 === "single") request.set("b3", [`${traceId}-${span.spanId}-${span.sampled ? "1" : "0"}`])
  else if (propagators.b3 === "multi") {
    request.set("x-b3-traceid", [traceId])
    request.set("x-b3-spanid", [span.spanId])
    request.set("x-b3-sampled", [span.sampled ? "1" : "0"])
  }
}

/** Hands on what came in, unless the request has its own. */
export const injectCarried = (request: MutableMetadata, carried: Carried, traced: boolean, propagators: Propagators = standard): void => {
  if (traced && propagators.traceContext && carried.tracestate !== undefined && !request.has("tracestate"))
    request.set("tracestate", [carried.tracestate])
  if (propagators.baggage && carried.baggage !== undefined && !request.has("baggage")) request.set("baggage", [carried.baggage])
}
