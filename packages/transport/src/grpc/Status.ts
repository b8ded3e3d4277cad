/**
 * Errors on the wire of gRPC: `grpc-status`, `grpc-message` and, when there is a reason or metadata, `grpc-status-details-bin` with a
 * `google.rpc.Status` that holds one `google.rpc.ErrorInfo` (no domain), as Kratos writes it.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { anyIs, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as Status from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../gen/google/rpc/status_pb.ts"

/** Longest `grpc-message` that we write, in UTF-16 units: trailers must fit the peer's header limit. */
const MAX_MESSAGE = 4096

/** The status fields of the trailers for an error. A code of 200 cannot carry an error and leaves as UNKNOWN. */
export const toFields = (error: KratosError.KratosError): Array<readonly [string, string]> => {
  const grpc = Status.grpcCode(error)
  const code = grpc === Status.Grpc.OK ? Status.Grpc.UNKNOWN : grpc
  const message = error.message.slice(0, MAX_MESSAGE)
  const fields: Array<readonly [string, string]> = [["grpc-status", String(code)]]
  if (message !== "") fields.push(["grpc-message", encodeMessage(message)])
  if (error.reason !== "" || Object.keys(error.metadata).length > 0) {
    const info = create(ErrorInfoSchema, { reason: error.reason, metadata: error.metadata })
    const status = create(StatusSchema, { code, message, details: [anyPack(ErrorInfoSchema, info)] })
    fields.push(["grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)).toString("base64").replace(/=+$/, "")])
  }
  return fields
}

/** The error of a reply's trailers; undefined when they say OK. Broken details cost only the details. */
export const fromMetadata = (trailers: Metadata.Metadata): KratosError.KratosError | undefined => {
  const text = trailers.get("grpc-status")?.[0]
  if (text === "0") return undefined
  const number = text === undefined || !/^\d{1,5}$/.test(text) ? Status.Grpc.UNKNOWN : Number(text)
  const grpc = Status.isGrpcCode(number) ? number : Status.Grpc.UNKNOWN
  const message = text === undefined ? "the reply has no grpc-status" : decodeMessage(trailers.get("grpc-message")?.[0] ?? "")
  const info = errorInfo(trailers)
  return KratosError.make(Status.httpFromGrpc(grpc), info?.reason ?? "", message, { metadata: info?.metadata, grpc })
}

const errorInfo = (trailers: Metadata.Metadata): { readonly reason: string; readonly metadata: Record<string, string> } | undefined => {
  const bytes = Metadata.getBinary(trailers, "grpc-status-details-bin")
  if (bytes._tag === "None") return undefined
  try {
    const status = fromBinary(StatusSchema, bytes.value)
    const detail = status.details.find((any) => anyIs(any, ErrorInfoSchema))
    return detail === undefined ? undefined : anyUnpack(detail, ErrorInfoSchema)
  } catch {
    return undefined
  }
}

/**
 * The class of a reason that a method declares, when the error has its reason and its code. A code that gRPC cannot carry (422) arrives as
 * what it became on the way.
 */
export const typed = (error: KratosError.KratosError, classes: ReadonlyArray<ReasonClass>): unknown => {
  for (const Class of classes) {
    if (Class.reason !== error.reason) continue
    if (Class.code !== error.code && Status.httpFromGrpc(Status.grpcFromHttp(Class.code)) !== error.code) continue
    return new Class({ message: error.message, ...(Object.keys(error.metadata).length > 0 ? { metadata: error.metadata } : undefined) })
  }
  return error
}

/** The gRPC code for an HTTP status that came without `grpc-status` (gRPC's http-grpc-status-mapping). */
export const fromHttpStatus = (status: number): KratosError.KratosError => {
  const grpc = HTTP[status] ?? Status.Grpc.UNKNOWN
  return KratosError.make(Status.httpFromGrpc(grpc), "", `the reply is not gRPC: HTTP status ${status}`, { grpc })
}

const HTTP: Readonly<Record<number, Status.GrpcCode>> = {
  400: Status.Grpc.INTERNAL,
  401: Status.Grpc.UNAUTHENTICATED,
  403: Status.Grpc.PERMISSION_DENIED,
  404: Status.Grpc.UNIMPLEMENTED,
  429: Status.Grpc.UNAVAILABLE,
  502: Status.Grpc.UNAVAILABLE,
  503: Status.Grpc.UNAVAILABLE,
  504: Status.Grpc.UNAVAILABLE
}

/** Percent-encodes what `grpc-message` cannot hold: everything but printable ASCII without `%`. */
export const encodeMessage = (message: string): string => {
  if (/^[ -$&-~]*$/.test(message)) return message
  let encoded = ""
  for (const byte of Buffer.from(message, "utf8")) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }
  return encoded
}

/** Decodes `grpc-message`; a sequence that is not well-formed stays as it is. */
export const decodeMessage = (message: string): string => {
  if (!message.includes("%")) return message
  const bytes: Array<number> = []
  for (let i = 0; i < message.length; i++) {
    const hex = message.charAt(i) === "%" ? message.slice(i + 1, i + 3) : ""
    if (/^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16))
      i += 2
    } else {
      bytes.push(message.charCodeAt(i) & 0xff)
    }
  }
  return Buffer.from(bytes).toString("utf8")
}
