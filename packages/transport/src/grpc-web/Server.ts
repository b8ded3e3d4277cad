/**
 * gRPC-Web on an HTTP exchange of any version (github.com/grpc/grpc, doc/PROTOCOL-WEB.md): gRPC whose trailers are the end of the body, in binary or
 * as base64. A reply that fails before its first message has its status in the head, as in gRPC.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Compression from "../grpc/Compression.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { GrpcServer } from "../grpc/Server.ts"
import * as GrpcStatus from "../grpc/Status.ts"
import * as Timeout from "../grpc/Timeout.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { takesGzip } from "../http/AcceptEncoding.ts"
import * as EnvelopedCall from "../http/EnvelopedCall.ts"
import { EMPTY, type HttpExchange } from "../http/HttpExchange.ts"
import * as Base64Text from "./Base64Text.ts"
import * as Trailers from "./Trailers.ts"

const TYPE = "application/grpc-web"

/** Answers the exchanges whose content type is that of gRPC-Web; false for others. */
export const serve = (server: GrpcServer, exchange: HttpExchange): boolean => {
  const contentType = exchange.header("content-type")
  if (contentType === undefined || !contentType.startsWith(TYPE) || exchange.method !== "POST") return false
  const match = /^(-text)?(?:\+(proto|json))?\s*(?:;|$)/.exec(contentType.slice(TYPE.length))
  if (match === null) return refuse(exchange, 415, TYPE, GrpcError.malformed(`content-type ${contentType.slice(0, 64)} is not supported`))
  const [, text, format = "proto"] = match
  const replyType = `${TYPE}${text ?? ""}+${format}`
  const operation = server.operation(exchange.target)
  if (operation === undefined) return refuse(exchange, 200, replyType, GrpcError.unknownMethod(exchange.target))
  const codecs = server.codec(operation, format === "json")
  const encoding = Compression.parse(exchange.header("grpc-encoding"))
  const timeout = exchange.header("grpc-timeout")
  const left = timeout === undefined ? undefined : Timeout.parse(timeout)
  const replyEncoding = takesGzip(exchange.header("grpc-accept-encoding")) ? "gzip" : undefined
  const head: Array<readonly [string, string]> = [
    ["content-type", replyType],
    ["grpc-accept-encoding", Compression.ACCEPTED]
  ]
  if (replyEncoding !== undefined) head.push(["grpc-encoding", replyEncoding])
  EnvelopedCall.serve(
    exchange,
    operation,
    {
      ...codecs,
      transport: "grpc-web",
      head,
      requestEncoding: encoding instanceof KratosError.KratosError ? undefined : encoding,
      replyEncoding,
      metadata: HeaderFields.toMetadata,
      undecodable: GrpcError.undecodable,
      end: (error, trailers) => Trailers.encode([...trailers, ...(error === undefined ? OK : GrpcStatus.toFields(error))]),
      failedHead: (error, trailers) => [...trailers, ...GrpcStatus.toFields(error)],
      text: text === undefined ? undefined : Base64Text.make()
    },
    {
      maxMessageBytes: server.maxMessageBytes,
      deadline: left === undefined ? undefined : server.now() + left,
      failure:
        encoding instanceof KratosError.KratosError
          ? encoding
          : timeout !== undefined && left === undefined
            ? GrpcError.malformed("grpc-timeout is malformed")
            : undefined,
      report: server.report
    }
  )
  return true
}

const OK = [["grpc-status", "0"]] as const

const refuse = (exchange: HttpExchange, status: number, type: string, error: KratosError.KratosError): true => {
  exchange.respond(status, [["content-type", type], ["grpc-accept-encoding", Compression.ACCEPTED], ...GrpcStatus.toFields(error)], EMPTY)
  return true
}
