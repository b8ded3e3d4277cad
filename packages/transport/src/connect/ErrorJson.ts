/**
 * Errors as Connect writes them: `code`, `message` and `details`, of which ours is one `google.rpc.ErrorInfo` with reason and metadata. Used by servers,
 * by clients and in browsers.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Status from "@effect-kratos/core/error/Status"
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import * as Codes from "./Codes.ts"

export interface ErrorJson {
  readonly code: string
  readonly message?: string
  readonly details?: ReadonlyArray<{ readonly type: string; readonly value: string; readonly debug?: unknown }>
}

const INFO = ErrorInfoSchema.typeName

export const make = (error: KratosError.KratosError): ErrorJson => {
  const { message, metadata, reason } = error
  const bare = { code: Codes.name(Status.grpcCode(error)), ...(message === "" ? undefined : { message }) }
  if (reason === "" && Object.keys(metadata).length === 0) return bare
  const value = base64Encode(toBinary(ErrorInfoSchema, create(ErrorInfoSchema, { reason, metadata })), "std_raw")
  return { ...bare, details: [{ type: INFO, value, debug: { reason, metadata } }] }
}

/** The error of parsed JSON. What it lacks or has wrong is left to `fallback`; broken details cost only the details. */
export const parse = (json: unknown, fallback: Status.GrpcCode): KratosError.KratosError => {
  const { code, details, message } = isRecord(json) ? json : {}
  const grpc = Codes.fromName(code) ?? fallback
  const info = Array.isArray(details) ? errorInfo(details) : undefined
  return KratosError.make(Status.httpFromGrpc(grpc), info?.reason ?? "", typeof message === "string" ? message : "", {
    metadata: info?.metadata,
    grpc
  })
}

const errorInfo = (details: ReadonlyArray<unknown>) => {
  for (const detail of details) {
    if (!isRecord(detail) || detail["type"] !== INFO || typeof detail["value"] !== "string") continue
    try {
      return fromBinary(ErrorInfoSchema, base64Decode(detail["value"]))
    } catch {
      continue
    }
  }
  return undefined
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
