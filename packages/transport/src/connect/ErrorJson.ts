/**
 * Errors as Connect writes them: `code`, `message` and `details`, of which the first is a `google.rpc.ErrorInfo` for reason and metadata. Used by
 * servers, by clients and in browsers.
 */
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire"
import type { Detail } from "@effect-kratos/core/error/Detail"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Status from "@effect-kratos/core/error/Status"
import * as ErrorDetails from "../ErrorDetails.ts"
import * as Codes from "./Codes.ts"

export interface ErrorJson {
  readonly code: string
  readonly message?: string
  readonly details?: ReadonlyArray<{ readonly type: string; readonly value: string; readonly debug?: unknown }>
}

export const make = (error: KratosError.KratosError): ErrorJson => {
  const { message, metadata, reason } = error
  const bare = { code: Codes.name(Status.grpcCode(error)), ...(message === "" ? undefined : { message }) }
  const details = ErrorDetails.toWire(error)
  if (details.length === 0) return bare
  // what is not there already is ours, and its content can be shown
  const derived = details !== error.details
  return {
    ...bare,
    details: details.map(({ type, value }, i) => {
      const detail = { type, value: base64Encode(value, "std_raw") }
      return derived && i === 0 ? Object.assign(detail, { debug: { reason, metadata } }) : detail
    })
  }
}

/** The error of parsed JSON. What it lacks or has wrong is left to `fallback`; broken details cost only the details. */
export const parse = (json: unknown, fallback: Status.GrpcCode): KratosError.KratosError => {
  const { code, details, message } = isRecord(json) ? json : {}
  const grpc = Codes.fromName(code) ?? fallback
  const received = ErrorDetails.fromWire(Array.isArray(details) ? detailsOf(details) : [], grpc)
  return KratosError.make(Status.httpFromGrpc(grpc), received.reason, typeof message === "string" ? message : "", {
    metadata: received.metadata,
    details: received.details,
    grpc
  })
}

const detailsOf = (details: ReadonlyArray<unknown>): ReadonlyArray<Detail> => {
  const read: Array<Detail> = []
  for (const detail of details) {
    if (!isRecord(detail) || typeof detail["type"] !== "string" || typeof detail["value"] !== "string") continue
    try {
      read.push({ type: ErrorDetails.ofUrl(detail["type"]), value: base64Decode(detail["value"]) })
    } catch {
      continue
    }
  }
  return read
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
