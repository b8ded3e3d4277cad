/** A tracer that decides which spans are recorded, by OpenTelemetry's built-in samplers. */
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Sampler } from "./Settings.ts"

type SpanOptions = Parameters<Tracer.Tracer["span"]>[0]

/** Spans that are not recorded cost no more than those of Effect's own tracer, and still have the names that callees are told. */
export const sampled = (inner: Tracer.Tracer, sampler: Sampler): Tracer.Tracer =>
  Tracer.make({
    ...(inner.context === undefined ? undefined : { context: inner.context }),
    span: (options) => {
      const ratio = sampler.root === "ratio" ? sampler.ratio : 1
      const parent = Option.getOrUndefined(options.parent)
      // within a process a trace is recorded as a whole, whatever the sampler
      if (parent !== undefined && (sampler.parentBased || parent._tag === "Span")) {
        return options.sampled ? inner.span(options) : unrecorded(options, undefined)
      }
      if (sampler.root === "off") return unrecorded(options, undefined)
      // one that was linked by a caller who does not record, or is below the level of tracing
      const isWanted = options.sampled || parent?.sampled === false
      if (!isWanted) return unrecorded(options, undefined)
      if (sampler.root === "on") return inner.span({ ...options, sampled: true })
      if (parent !== undefined)
        return within(parent.traceId, ratio) ? inner.span({ ...options, sampled: true }) : unrecorded(options, undefined)
      const span = inner.span({ ...options, sampled: true })
      // the same trace gets the same decision in services that sample by themselves
      return within(span.traceId, ratio) ? span : unrecorded(options, span.traceId)
    }
  })

const unrecorded = (options: SpanOptions, traceId: string | undefined): Tracer.Span => {
  const span = new Tracer.NativeSpan({ ...options, sampled: false })
  if (traceId !== undefined) span._traceId = traceId
  return span
}

/** Whether the low 56 bits of a trace id, as a fraction, are below the ratio (W3C Trace Context, level 2: they are random). */
const within = (traceId: string, ratio: number): boolean => ratio >= 1 || Number.parseInt(traceId.slice(-14), 16) / 2 ** 56 < ratio
