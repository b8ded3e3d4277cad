/**
 * The error that every transport can carry: `code` (HTTP semantics), `reason`, `message`, `metadata`; and `details` where the wire has a place for them.
 *
 * A contract's own reasons are classes of their own (see `Reason`); `KratosError` is what is left: errors of the framework, of peers
 * that know reasons which we do not, and of anything that was never declared. An undeclared failure or a defect leaves the process as
 * 500 without detail, because its text may hold secrets.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Schema from "effect/Schema"
import * as Detail from "./Detail.ts"
import * as Instance from "./Instance.ts"
import * as Status from "./Status.ts"

export interface Props extends Instance.Props {
  /** HTTP semantics. Outside 300–599 the error leaves its process as 500. */
  readonly code: number
  readonly reason: string
  /** The gRPC code it arrived with, when `code` does not lead back to it. */
  readonly grpc?: Status.GrpcCode
}

export class KratosError extends Schema.TaggedError<KratosError>("@effect-kratos/core/error/KratosError")("KratosError", {
  code: Schema.Int,
  reason: Schema.String,
  message: Schema.String,
  metadata: Schema.Record(Schema.String, Schema.String),
  grpc: Schema.optionalKey(Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])),
  details: Schema.optionalKey(Schema.Array(Detail.Detail)),
  cause: Instance.localCause
}) {
  // Schema builds instances through the second parameter, which goes on unchanged: decoding is not affected
  // @effect-diagnostics-next-line overriddenSchemaConstructor:off
  constructor(props: Props, options?: Schema.MakeOptions) {
    // options come from Schema itself; props that it would accept need not go through it
    if (options === undefined && isProps(props)) return allocate(new.target, props, true)
    super({ metadata: {}, ...props }, options)
  }

  get [Status.TypeId](): Status.Status {
    return Status.isErrorCode(this.code) ? this : { code: 500, reason: this.reason, grpc: this.grpc }
  }

  /** The body of Kratos, in its order. The cause stays here. */
  override toJSON(): {
    readonly code: number
    readonly reason: string
    readonly message: string
    readonly metadata: Readonly<Record<string, string>>
  } {
    return { code: this.code, reason: this.reason, message: this.message, metadata: this.metadata }
  }

  /** What `console.log` shows: all of it. */
  override [NodeInspectSymbol](): unknown {
    return Instance.inspect(this)
  }
}

/** An error that carries its wire status: a `KratosError` or a reason class. */
export interface Marked {
  readonly [Status.TypeId]: Status.Status
  readonly message: string
  readonly metadata?: Readonly<Record<string, string>> | undefined
  readonly details?: ReadonlyArray<Detail.Detail> | undefined
}

export interface Options {
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Messages of the contract that travel with the error over gRPC, gRPC-Web and Connect; REST has no place for them. */
  readonly details?: ReadonlyArray<Detail.Detail> | undefined
  readonly grpc?: Status.GrpcCode | undefined
  readonly cause?: unknown
}

/** Creates an error without a stack trace. `code` outside 300–599 becomes 500: HTTP could not carry it, or a peer would take it for success. */
export const make = (code: number, reason: string, message: string, options?: Options): KratosError =>
  allocate(
    KratosError,
    {
      code: Status.isErrorCode(code) ? code : 500,
      reason,
      message,
      metadata: options?.metadata ?? {},
      ...(options?.grpc === undefined ? undefined : { grpc: options.grpc }),
      ...(options?.details === undefined ? undefined : { details: options.details }),
      cause: options?.cause
    },
    false
  )

/** The error of a gRPC status. It leaves again with the number it came with; one that gRPC does not define is 500. */
export const fromGrpc = (
  code: number,
  message: string,
  detail?: {
    readonly reason?: string | undefined
    readonly metadata?: Readonly<Record<string, string>> | undefined
    readonly details?: ReadonlyArray<Detail.Detail> | undefined
  }
): KratosError => {
  const http = Status.httpFromGrpc(code)
  return make(http, detail?.reason ?? "", message, {
    metadata: detail?.metadata,
    details: detail?.details,
    grpc: Status.isGrpcCode(code) && Status.grpcFromHttp(http) !== code ? code : undefined
  })
}

/** True for anything that carries a wire status. */
export const isMarked = (error: unknown): error is Marked => typeof error === "object" && error !== null && Status.TypeId in error

/** True when `error`, or an error that it names as its cause, has the code and reason of `target`; message and metadata do not count. */
export const is = (error: unknown, target: Status.Status): boolean => {
  let current = error
  for (let depth = 0; depth < maxCauses && typeof current === "object" && current !== null; depth++) {
    if (isMarked(current)) {
      const status = current[Status.TypeId]
      if (status.code === target.code && status.reason === target.reason) return true
    }
    current = (current as { readonly cause?: unknown }).cause
  }
  return false
}

/**
 * The `KratosError` of any error value: itself, the status it is marked with, or 500 without detail (the value stays as `cause`).
 * Unlike Kratos it does not look for a status among the causes: what another service answered is not what this one declares.
 */
export const from = (error: unknown): KratosError => {
  if (error instanceof KratosError) return error
  if (isMarked(error)) {
    const status = error[Status.TypeId]
    return make(status.code, status.reason, error.message, {
      metadata: error.metadata,
      details: error.details,
      grpc: status.grpc,
      cause: error
    })
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

/** The status under which a cause leaves, without building the error: for logs, spans and metrics. */
export const statusFromCause = (cause: Cause.Cause<unknown>): Status.Status => {
  let interrupted = false
  let died = false
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason)) return isMarked(reason.error) ? reason.error[Status.TypeId] : internal
    if (Cause.isDieReason(reason)) died = true
    else interrupted = true
  }
  return interrupted && !died ? cancelled : internal
}

/** The status with which a call ends: 200 without reason when it succeeded. */
export const statusFromExit = (exit: Exit.Exit<unknown, unknown>): Status.Status =>
  Exit.isSuccess(exit) ? ok : statusFromCause(exit.cause)

const ok: Status.Status = { code: 200, reason: "" }
const internal: Status.Status = { code: 500, reason: "" }
const cancelled: Status.Status = { code: 499, reason: "" }

/** The code that `error` has or would leave with. */
export const code = (error: unknown): number => (isMarked(error) ? error[Status.TypeId].code : 500)

/** The reason that `error` has, or the empty string. */
export const reason = (error: unknown): string => (isMarked(error) ? error[Status.TypeId].reason : "")

/** One line for logs, in the form that Kratos prints: `error: code = 404 reason = … message = … metadata = map[k:v] cause = <nil>`. */
export const format = (error: unknown): string => formatDepth(error, maxCauses)

const formatDepth = (error: unknown, depth: number): string => {
  if (!isMarked(error)) return error instanceof Error ? error.message : String(error)
  const { code, reason } = error[Status.TypeId]
  const metadata = Object.entries(error.metadata ?? {})
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${key}:${value}`)
    .join(" ")
  const cause = (error as { readonly cause?: unknown }).cause
  const text = cause === undefined ? "<nil>" : depth === 0 ? "…" : formatDepth(cause, depth - 1)
  return `error: code = ${code} reason = ${reason} message = ${error.message} metadata = map[${metadata}] cause = ${text}`
}

// A cycle of causes, or a chain that somebody built in a loop, must not hold up a call.
const maxCauses = 16

/** A copy with `metadata` in place of the old; a detail that stood for the old goes with it. */
export const withMetadata = (self: KratosError, metadata: Readonly<Record<string, string>>): KratosError =>
  make(self.code, self.reason, self.message, {
    metadata,
    details: Detail.withoutErrorInfo(self.details),
    grpc: self.grpc,
    cause: self.cause
  })

/** A copy with `details` in place of the old. */
export const withDetails = (self: KratosError, details: ReadonlyArray<Detail.Detail>): KratosError =>
  make(self.code, self.reason, self.message, { metadata: self.metadata, details, grpc: self.grpc, cause: self.cause })

/** A copy with `cause` in place of the old. */
export const withCause = (self: KratosError, cause: unknown): KratosError =>
  make(self.code, self.reason, self.message, { metadata: self.metadata, details: self.details, grpc: self.grpc, cause })

const isProps = (props: Props): boolean =>
  Instance.isProps(props) &&
  Number.isSafeInteger(props.code) &&
  typeof props.reason === "string" &&
  (props.grpc === undefined ? !("grpc" in props) : Status.isGrpcCode(props.grpc))

/** Own fields as Schema's constructor would leave them. */
const allocate = (target: NewableFunction, props: Props, trace: boolean): KratosError => {
  // an object of class `target` that gets every field of it here
  const self = Instance.allocate(target, props, trace) as { -readonly [K in keyof KratosError]: KratosError[K] }
  self._tag = "KratosError"
  self.code = props.code
  self.reason = props.reason
  self.metadata = props.metadata ?? {}
  if (props.grpc !== undefined) self.grpc = props.grpc
  if (props.details !== undefined) self.details = props.details
  return self
}

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
