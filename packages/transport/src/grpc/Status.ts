/**
 * Errors on the wire of gRPC: `grpc-status`, `grpc-message` and, when there is a reason, metadata or a detail, `grpc-status-details-bin` with a
 * `google.rpc.Status` that holds one `google.rpc.ErrorInfo` (no domain) for the first two, as Kratos writes it, and the details behind it.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { AnySchema } from "@bufbuild/protobuf/wkt"
import type { Detail } from "@effect-kratos/core/error/Detail"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { ReasonClass } from "@effect-kratos/core/error/Reason"
import * as Status from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as ErrorDetails from "../ErrorDetails.ts"
import { StatusSchema } from "../gen/google/rpc/status_pb.ts"

/** Longest `grpc-message` that we write, in UTF-16 units: trailers must fit the peer's header limit. */
const MAX_MESSAGE = 4096

/** Most bytes of details that we write into trailers, for the same reason. Those that do not fit are left out, from the first on that does not. */
const MAX_DETAILS = 32_768

/** The status fields of the trailers for an error. A code of 200 cannot carry an error and leaves as UNKNOWN. */
export const toFields = (error: KratosError.KratosError): Array<readonly [string, string]> => {
  const grpc = Status.grpcCode(error)
  const code = grpc === Status.Grpc.OK ? Status.Grpc.UNKNOWN : grpc
  const message = error.message.slice(0, MAX_MESSAGE)
  const fields: Array<readonly [string, string]> = [["grpc-status", String(code)]]
  if (message !== "") fields.push(["grpc-message", encodeMessage(message)])
  const details = fitting(ErrorDetails.toWire(error))
  if (details.length > 0) {
    const status = create(StatusSchema, {
      code,
      message,
      details: details.map(({ type, value }) => create(AnySchema, { typeUrl: ErrorDetails.urlOf(type), value }))
    })
    fields.push(["grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)).toString("base64").replace(/=+$/, "")])
  }
  return fields
}

const fitting = (details: ReadonlyArray<Detail>): ReadonlyArray<Detail> => {
  let left = MAX_DETAILS
  const over = details.findIndex(({ type, value }) => (left -= type.length + value.length) < 0)
  return over < 0 ? details : details.slice(0, over)
}

/** The error of a reply's trailers; undefined when they say OK. Broken details cost only the details. */
export const fromMetadata = (trailers: Metadata.Metadata): KratosError.KratosError | undefined => {
  const text = trailers.get("grpc-status")?.[0]
  if (text === "0") return undefined
  const number = text === undefined || !/^\d{1,5}$/.test(text) ? Status.Grpc.UNKNOWN : Number(text)
  const grpc = Status.isGrpcCode(number) ? number : Status.Grpc.UNKNOWN
  const message = text === undefined ? "the reply has no grpc-status" : decodeMessage(trailers.get("grpc-message")?.[0] ?? "")
  const { details, metadata, reason } = ErrorDetails.fromWire(detailsOf(trailers), grpc)
  return KratosError.make(Status.httpFromGrpc(grpc), reason, message, { metadata, details, grpc })
}

const detailsOf = (trailers: Metadata.Metadata): ReadonlyArray<Detail> => {
  const bytes = Metadata.getBinary(trailers, "grpc-status-details-bin")
  if (bytes._tag === "None") return []
  try {
    return fromBinary(StatusSchema, bytes.value).details.map(({ typeUrl, value }) => ({ type: ErrorDetails.ofUrl(typeUrl), value }))
  } catch {
    return []
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
    return new Class({
      message: error.message,
      ...(Object.keys(error.metadata).length > 0 ? { metadata: error.metadata } : undefined),
      ...(error.details === undefined ? undefined : { details: error.details })
    })
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
