/** What aspects share that make more than one attempt of a call: which failures may be tried again, when, and how attempts are seen. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import { Call, type CallShape, type ClientCall } from "../Call.ts"
import * as Deadline from "../Deadline.ts"
import * as KratosError from "../error/KratosError.ts"
import * as RetryAdvice from "../error/RetryAdvice.ts"
import * as Status from "../error/Status.ts"
import * as Metadata from "../Metadata.ts"

/** Tells the server how many attempts were made before this one (gRFC A6). */
export const header = "grpc-previous-rpc-attempts"

/** Attempts above which no policy goes, the first included (gRFC A6). */
export const MOST = 5

/** Bytes of a streamed request that are kept for further attempts. */
export const MAX_REQUEST_BYTES = 262_144

export interface Idempotent {
  (call: CallShape): boolean
}

/** As the contract says, or the verb of the method's HTTP rule on REST. */
export const declared: Idempotent = (call) => call.idempotency !== undefined

/** How an attempt failed. */
export interface Failure {
  readonly error: unknown
  readonly code: Status.GrpcCode
  readonly advice: RetryAdvice.RetryAdvice | undefined
}

/** The failure of an attempt that has an error; undefined for interrupts and defects, which are nobody's to try again. */
export const failureOf = (cause: Cause.Cause<unknown>, attempt: ClientCall, now: number): Failure | undefined => {
  if (cause.reasons.length === 0 || !cause.reasons.every(Cause.isFailReason)) return undefined
  // every reason is one
  const { error } = cause.reasons[0] as Cause.Fail<unknown>
  const status = KratosError.statusFromCause(cause)
  // a proxy's "bad gateway" is gRPC's UNAVAILABLE, as its mapping of HTTP statuses has it
  const code = status.code === 502 ? Status.Grpc.UNAVAILABLE : Status.grpcCode(status)
  return { error, code, advice: RetryAdvice.of(attempt.reply, attempt.trailers, error, now) }
}

/** Whether the server, for all that is known, has not acted on a call, or may do so again. */
export const isHarmless = (attempt: ClientCall, idempotent: Idempotent): boolean => !attempt.processed || idempotent(attempt)

/** The deadline of a call and all its attempts. */
export const deadlineOf = (call: CallShape, services: Context.Context<never>): Deadline.Deadline | undefined =>
  Deadline.min(Context.get(services, Deadline.Current), call.deadline)

/** The metadata of another attempt: that of the call before its first one, and how many there were. */
export const requestOf = (request: Metadata.Metadata, attempt: number): Metadata.MutableMetadata => {
  const metadata = Metadata.clone(request)
  Metadata.set(metadata, header, String(attempt))
  return metadata
}

/** Runs an attempt with what is its own: the call, a deadline, and `attempt` in logs. */
export const servicesOf = (
  services: Context.Context<never>,
  attempt: ClientCall,
  deadline: Deadline.Deadline | undefined
): Context.Context<never> => {
  let context: Context.Context<never> = Context.add(services, Call, attempt)
  if (deadline !== undefined) context = Context.add(context, Deadline.Current, deadline)
  if (attempt.attempt === 0) return context
  const annotations = Context.get(context, References.CurrentLogAnnotations)
  return Context.add(context, References.CurrentLogAnnotations, { ...annotations, attempt: attempt.attempt })
}

/** Why there is, or is not, another attempt. */
export type Outcome = "retry" | "hedge" | "attempts" | "budget" | "pushback" | "deadline"

const retries = Metric.counter("rpc.client.retries", { description: "Attempts of calls beyond the first", incremental: true })
const refused = Metric.counter("rpc.client.retries.refused", {
  description: "Further attempts that a failed call could have had and was not given",
  incremental: true
})

/** Counts a further attempt, or why it was not made, and says it in the span of the call. */
export const record = (fiber: Fiber.Fiber<unknown, unknown>, call: ClientCall, outcome: Outcome, attempt: number): void => {
  const isMade = outcome === "retry" || outcome === "hedge"
  const labels = { "rpc.service": call.service, "rpc.method": call.method, [isMade ? "kind" : "reason"]: outcome }
  Metric.withAttributes(isMade ? retries : refused, labels).updateUnsafe(1, fiber.context)
  const span = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
  if (span?._tag !== "Span") return
  if (isMade) span.attribute("rpc.attempts", attempt + 1)
  else span.attribute("rpc.retry.refused", outcome)
}

/** A line at debug level for each further attempt. */
export const say = (call: ClientCall, attempt: number, why: string): Effect.Effect<void> =>
  Effect.logDebug(`${call.operation} of ${call.endpoint}: attempt ${attempt + 1}${why}`)
