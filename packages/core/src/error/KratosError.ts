/**
 * The error that every transport can carry: `code` (HTTP semantics), `reason`, `message`, `metadata`.
 *
 * A contract's own reasons are classes of their own (see `Reason`); `KratosError` is what is left: errors of the framework, of peers
 * that know reasons which we do not, and of anything that was never declared. An undeclared failure or a defect leaves the process as
 * 500 without detail, because its text may hold secrets.
 */
import * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as Status from "./Status.ts"

export class KratosError extends Schema.TaggedError<KratosError>("@effect-kratos/core/error/KratosError")("KratosError", {
  code: Schema.Int,
  reason: Schema.String,
  message: Schema.String,
  metadata: Schema.Record(Schema.String, Schema.String),
  /** The gRPC code it arrived with, when `code` does not lead back to it. */
  grpc: Schema.optionalKey(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])),
  /** What led to it, for logs in this process; never on the wire. */
  cause: Schema.optionalKey(Schema.Defect())
}) {
  get [Status.TypeId](): Status.Status {
    return this
  }
}

/** An error that carries its wire status: a `KratosError` or a reason class. */
export interface Marked {
  readonly [Status.TypeId]: Status.Status
  readonly message: string
  readonly metadata?: Readonly<Record<string, string>> | undefined
}

export interface Options {
  readonly metadata?: Readonly<Record<string, string>> | undefined
  readonly grpc?: Status.GrpcCode | undefined
  readonly cause?: unknown
}

/** Creates an error. `code` outside 100–599 becomes 500, since HTTP could not carry it. */
export const make = (code: number, reason: string, message: string, options?: Options): KratosError => {
  const valid = Number.isInteger(code) && code >= 100 && code <= 599
  // Errors of the wire have no useful stack, and capturing one costs ten times the rest.
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return new KratosError({
      code: valid ? code : 500,
      reason,
      message,
      metadata: options?.metadata ?? {},
      ...(options?.grpc === undefined ? undefined : { grpc: options.grpc }),
      ...(options?.cause === undefined ? undefined : { cause: options.cause })
    })
  } finally {
    Error.stackTraceLimit = limit
  }
}

/** True for anything that carries a wire status. */
export const isMarked = (error: unknown): error is Marked => typeof error === "object" && error !== null && Status.TypeId in error

/** True when `error` is a marked error with the same code and reason; message and metadata do not count. */
export const is = (error: unknown, target: Status.Status): boolean => {
  if (!isMarked(error)) return false
  const status = error[Status.TypeId]
  return status.code === target.code && status.reason === target.reason
}

/** The `KratosError` of any error value: itself, the status it is marked with, or 500 without detail (the value stays as `cause`). */
export const from = (error: unknown): KratosError => {
  if (error instanceof KratosError) return error
  if (isMarked(error)) {
    const status = error[Status.TypeId]
    return make(status.code, status.reason, error.message, { metadata: error.metadata, grpc: status.grpc, cause: error })
  }
  return make(500, "", "internal error", { cause: error })
}

/** The `KratosError` of a cause: its first failure, else its defect, else 499 for an interrupt. */
export const fromCause = (cause: Cause.Cause<unknown>): KratosError => {
  let interrupted = false
  let defect: unknown = undefined
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason)) return from(reason.error)
    if (Cause.isDieReason(reason)) defect ??= reason
    else interrupted = true
  }
  if (defect !== undefined) return make(500, "", "internal error", { cause: Cause.squash(cause) })
  return interrupted ? clientClosed("", "call was cancelled") : make(500, "", "internal error")
}

/** The code that `error` has or would leave with. */
export const code = (error: unknown): number => (isMarked(error) ? error[Status.TypeId].code : 500)

/** The reason that `error` has, or the empty string. */
export const reason = (error: unknown): string => (isMarked(error) ? error[Status.TypeId].reason : "")

/** A copy with `metadata` in place of the old. */
export const withMetadata = (self: KratosError, metadata: Readonly<Record<string, string>>): KratosError =>
  make(self.code, self.reason, self.message, { metadata, grpc: self.grpc, cause: self.cause })

/** A copy with `cause` in place of the old. */
export const withCause = (self: KratosError, cause: unknown): KratosError =>
  make(self.code, self.reason, self.message, { metadata: self.metadata, grpc: self.grpc, cause })

interface Constructor {
  (reason: string, message: string, options?: Options): KratosError
}
const constructor =
  (code: number): Constructor =>
  (reason, message, options) =>
    make(code, reason, message, options)
const predicate =
  (expected: number) =>
  (error: unknown): boolean =>
    code(error) === expected

/** 400. */
export const badRequest = constructor(400)
/** 401. */
export const unauthorized = constructor(401)
/** 403. */
export const forbidden = constructor(403)
/** 404. */
export const notFound = constructor(404)
/** 409. */
export const conflict = constructor(409)
/** 429. */
export const tooManyRequests = constructor(429)
/** 499: the client went away. */
export const clientClosed = constructor(499)
/** 500. */
export const internalServer = constructor(500)
/** 501. */
export const unimplemented = constructor(501)
/** 503. */
export const serviceUnavailable = constructor(503)
/** 504. */
export const gatewayTimeout = constructor(504)

export const isBadRequest = predicate(400)
export const isUnauthorized = predicate(401)
export const isForbidden = predicate(403)
export const isNotFound = predicate(404)
export const isConflict = predicate(409)
export const isTooManyRequests = predicate(429)
export const isClientClosed = predicate(499)
export const isInternalServer = predicate(500)
export const isUnimplemented = predicate(501)
export const isServiceUnavailable = predicate(503)
export const isGatewayTimeout = predicate(504)
