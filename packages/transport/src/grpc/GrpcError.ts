/** The errors that the gRPC wire itself raises, with the codes that other implementations use for them. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import type { ConnectError } from "../NetworkError.ts"

/** RESOURCE_EXHAUSTED, as grpc-go and C-core say it. */
export const tooLarge = (length: number | undefined, limit: number): KratosError.KratosError =>
  KratosError.tooManyRequests(
    "",
    `message ${length === undefined ? "" : `of ${length} bytes `}is larger than the limit of ${limit} bytes`,
    {
      grpc: Grpc.RESOURCE_EXHAUSTED
    }
  )

/** INTERNAL: bytes that are not gRPC. */
export const malformed = (message: string): KratosError.KratosError => KratosError.internalServer("", message, { grpc: Grpc.INTERNAL })

/** UNKNOWN: a reply of status 200 that is not gRPC, as gRPC's mapping of HTTP statuses has it. */
export const notGrpc = (contentType: string): KratosError.KratosError =>
  KratosError.internalServer("", `the reply has content-type ${JSON.stringify(contentType.slice(0, 64))}`, { grpc: Grpc.UNKNOWN })

/** INTERNAL: a message that does not decode. C-core and grpc-go say INTERNAL, Kratos' CODEC reason says why. */
export const undecodable = (typeName: string): KratosError.KratosError =>
  KratosError.internalServer("CODEC", `message is not a valid ${typeName}`, { grpc: Grpc.INTERNAL })

/** UNIMPLEMENTED, with `grpc-accept-encoding` telling what would be understood. */
export const unknownEncoding = (encoding: string): KratosError.KratosError =>
  KratosError.unimplemented("", `grpc-encoding ${JSON.stringify(encoding.slice(0, 32))} is not supported`, { grpc: Grpc.UNIMPLEMENTED })

/** UNIMPLEMENTED: no such service or method. */
export const unknownMethod = (path: string): KratosError.KratosError =>
  KratosError.unimplemented("", `unknown method ${path.slice(0, 256)}`, { grpc: Grpc.UNIMPLEMENTED })

/** INTERNAL: the number of messages does not fit the kind of the method. */
export const cardinality = (what: string): KratosError.KratosError => KratosError.unimplemented("", what, { grpc: Grpc.UNIMPLEMENTED })

/** UNAVAILABLE: the connection went away before the reply was complete. */
export const unavailable = (message: string, cause?: unknown): KratosError.KratosError =>
  KratosError.serviceUnavailable("", message, { grpc: Grpc.UNAVAILABLE, ...(cause === undefined ? undefined : { cause }) })

/** UNAVAILABLE: there is no connection. The reason is `TLS` when the handshake is at fault. */
export const unreachable = (error: ConnectError): KratosError.KratosError =>
  KratosError.serviceUnavailable(error.isTls ? "TLS" : "", error.message, { grpc: Grpc.UNAVAILABLE, cause: error })

/** RESOURCE_EXHAUSTED, 503: too many calls wait for a connection or a stream already. */
export const queueFull = (target: string, limit: number): KratosError.KratosError =>
  KratosError.serviceUnavailable("QUEUE_FULL", `${limit} calls wait for ${target} already`, { grpc: Grpc.RESOURCE_EXHAUSTED })

/** CANCELLED. */
export const cancelled = (message: string): KratosError.KratosError => KratosError.clientClosed("", message, { grpc: Grpc.CANCELLED })

/** RESOURCE_EXHAUSTED: the peer closed with ENHANCE_YOUR_CALM. */
export const tooManyCalls = (): KratosError.KratosError =>
  KratosError.tooManyRequests("", "the server refused the load of this connection", { grpc: Grpc.RESOURCE_EXHAUSTED })

/** PERMISSION_DENIED: the peer asks for a better connection. */
export const insecure = (): KratosError.KratosError =>
  KratosError.forbidden("", "the server refused the security of this connection", { grpc: Grpc.PERMISSION_DENIED })
