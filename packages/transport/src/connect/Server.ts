/**
 * Connect on an HTTP exchange (connectrpc.com/docs/protocol). Its paths are `/package.Service/Method`, whatever HTTP rules the method has besides. A
 * request whose head or message is bad still runs through the aspects, which see its error; only what is no request of the protocol ends here: 405 with
 * `allow`, 415 with `accept-post`.
 */
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc, grpcCode } from "@effect-kratos/core/error/Status"
import * as Exit from "effect/Exit"
import * as Compression from "../grpc/Compression.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { GrpcServer } from "../grpc/Server.ts"
import * as HeaderFields from "../HeaderFields.ts"
import { takesGzip, WORTHWHILE } from "../http/AcceptEncoding.ts"
import * as EnvelopedCall from "../http/EnvelopedCall.ts"
import type { HttpExchange } from "../http/HttpExchange.ts"
import type { Reply } from "../Implementation.ts"
import type { MessageCodec } from "../MessageCodec.ts"
import { Incoming, type Operation } from "../Operation.ts"
import * as Codes from "./Codes.ts"
import * as EndStream from "./EndStream.ts"
import * as ErrorJson from "./ErrorJson.ts"
import * as GetQuery from "./GetQuery.ts"
import * as RequestFields from "./RequestFields.ts"
import * as Timeout from "./Timeout.ts"

type Fields = EnvelopedCall.Fields

/** Answers the exchanges whose path is that of a method, or that say that they are Connect's; false for others. */
export const serve = (server: GrpcServer, exchange: HttpExchange): boolean => {
  const target = exchange.target
  const mark = target.indexOf("?")
  const path = mark < 0 ? target : target.slice(0, mark)
  const operation = server.operation(path)
  if (operation === undefined) return unknown(exchange, path)
  const unary = operation.method.kind === "unary"
  const safe = unary && operation.desc.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
  if (exchange.method === "GET" && safe) get(server, exchange, operation, mark < 0 ? "" : target.slice(mark + 1))
  else if (exchange.method !== "POST")
    refuse(exchange, 405, `method ${exchange.method.slice(0, 32)} is not allowed here`, ["allow", safe ? "GET, POST" : "POST"])
  else post(server, exchange, operation, unary)
  return true
}

/** A path without a method: for this protocol only if the request says that it is. All of REST comes by here. */
const unknown = (exchange: HttpExchange, path: string): boolean => {
  if (exchange.method !== "POST") return false
  const contentType = exchange.header("content-type")
  if (contentType?.startsWith("application/connect+") === true) {
    const { format } = parseType(contentType)
    if (format === undefined) return false
    exchange.respond(200, [["content-type", `application/connect+${format}`]], EndStream.encode(GrpcError.unknownMethod(path), []))
    return true
  }
  if (exchange.header("connect-protocol-version") === undefined) return false
  respondError(exchange, GrpcError.unknownMethod(path), [], 404)
  return true
}

/** What is no request of a protocol has no form of a protocol: the status says it to programs, the text to people. */
const refuse = (exchange: HttpExchange, status: number, message: string, field: readonly [string, string]): void =>
  exchange.respond(status, [["content-type", "text/plain; charset=utf-8"], field], Buffer.from(message))

type Format = "proto" | "json"

const parseType = (contentType: string | undefined): { readonly format: Format | undefined; readonly streaming: boolean } => {
  const match = /^application\/(connect\+)?(proto|json)\s*(?:;\s*charset=("?)utf-8\3\s*)?$/i.exec(contentType ?? "")
  return match === null
    ? { format: undefined, streaming: false }
    : { format: match[2]!.toLowerCase() as Format, streaming: match[1] !== undefined }
}

const post = (server: GrpcServer, exchange: HttpExchange, operation: Operation, unary: boolean): void => {
  const { format, streaming } = parseType(exchange.header("content-type"))
  if (format === undefined || streaming === unary) {
    const known = unary ? "application/proto, application/json" : "application/connect+proto, application/connect+json"
    const accepted = `${known}, application/grpc-web, application/grpc-web-text`
    const given = JSON.stringify((exchange.header("content-type") ?? "").slice(0, 64))
    return refuse(exchange, 415, `content-type ${given} is not supported`, ["accept-post", accepted])
  }
  const timeout = exchange.header(Timeout.HEADER)
  const version = exchange.header("connect-protocol-version")
  const header = streaming ? "connect-content-encoding" : "content-encoding"
  const head = checkHead(server, version === undefined ? undefined : version === "1", header, exchange.header(header), timeout)
  if (unary) {
    const whole = head.failure ?? GrpcError.tooLarge(undefined, server.maxMessageBytes)
    const respond = (body: Uint8Array | KratosError.KratosError) =>
      callUnary(server, exchange, operation, format, { ...head, failure: body instanceof Uint8Array ? head.failure : whole }, body)
    return exchange.readBody(server.maxMessageBytes, respond)
  }
  const { input, output } = server.codec(operation, format === "json")
  const replyEncoding = takesGzip(exchange.header("connect-accept-encoding")) ? "gzip" : undefined
  EnvelopedCall.serve(
    exchange,
    operation,
    {
      transport: "connect",
      input,
      output,
      head: [
        ["content-type", `application/connect+${format}`],
        ["connect-accept-encoding", "gzip"],
        ...(replyEncoding === undefined ? [] : ([["connect-content-encoding", replyEncoding]] as const))
      ],
      requestEncoding: head.encoding,
      replyEncoding,
      metadata: RequestFields.toMetadata,
      undecodable,
      end: EndStream.encode,
      failedHead: undefined,
      text: undefined
    },
    { maxMessageBytes: server.maxMessageBytes, deadline: head.deadline, failure: head.failure, report: server.report }
  )
}

const get = (server: GrpcServer, exchange: HttpExchange, operation: Operation, query: string): void => {
  const parsed = GetQuery.parse(query)
  if (typeof parsed === "string") {
    const failure = KratosError.badRequest("CODEC", parsed)
    return callUnary(server, exchange, operation, "json", { failure, encoding: undefined, deadline: undefined }, failure)
  }
  const { compression, encoding: format, message, version } = parsed
  if (format !== "proto" && format !== "json") {
    return refuse(exchange, 415, `encoding ${JSON.stringify((format ?? "").slice(0, 64))} is not supported`, [
      "accept-post",
      "application/proto, application/json"
    ])
  }
  const right = version === undefined ? undefined : version === "v1"
  const head = checkHead(server, right, "compression", compression, exchange.header(Timeout.HEADER))
  callUnary(server, exchange, operation, format, head, message)
}

interface Head {
  readonly failure: KratosError.KratosError | undefined
  readonly encoding: Compression.Encoding | undefined
  readonly deadline: number | undefined
}

const checkHead = (
  server: GrpcServer,
  version: boolean | undefined,
  encodingHeader: string,
  encoding: string | undefined,
  timeout: string | undefined
): Head => {
  const left = timeout === undefined ? undefined : Timeout.parse(timeout)
  const known = encoding === undefined || encoding === "" || encoding === "identity" || encoding === "gzip"
  const failure =
    version === false
      ? KratosError.badRequest("CODEC", "only version 1 of the protocol is supported")
      : !known
        ? KratosError.unimplemented("", `${encodingHeader} ${JSON.stringify(encoding.slice(0, 32))} is not supported, only gzip`, {
            grpc: Grpc.UNIMPLEMENTED
          })
        : timeout !== undefined && left === undefined
          ? KratosError.badRequest("CODEC", `${Timeout.HEADER} is malformed`)
          : undefined
  return { failure, encoding: encoding === "gzip" ? "gzip" : undefined, deadline: left === undefined ? undefined : server.now() + left }
}

const undecodable = (typeName: string): KratosError.KratosError => KratosError.badRequest("CODEC", `message is not a valid ${typeName}`)

/** A unary call: bare messages both ways, everything else in the heads. */
const callUnary = (
  server: GrpcServer,
  exchange: HttpExchange,
  operation: Operation,
  format: Format,
  head: Head,
  body: Uint8Array | KratosError.KratosError
): void => {
  const { input, output } = server.codec(operation, format === "json")
  const call = new Incoming("connect", operation, exchange.origin, head.deadline, () => RequestFields.toMetadata(exchange.fields))
  const message = head.failure ?? (body instanceof Uint8Array ? decode(server, operation, input, head.encoding, body) : body)
  if (message instanceof KratosError.KratosError) call.failure = message
  else call.message = message
  const cancel = operation.run(call, (exit) => {
    const metadata = replyFields(call)
    if (metadata instanceof KratosError.KratosError) return respondError(exchange, metadata, [])
    if (Exit.isFailure(exit)) return respondError(exchange, KratosError.fromCause(exit.cause), metadata)
    respond(server, exchange, call, output, format, exit.value as Reply, metadata) // unary methods end with a reply
  })
  if (cancel !== undefined) exchange.whenAborted(cancel)
}

const decode = (
  server: GrpcServer,
  operation: Operation,
  input: MessageCodec,
  encoding: Compression.Encoding | undefined,
  body: Uint8Array
) => {
  // an empty body is an empty message, however it says it is compressed
  const bytes = encoding === undefined || body.length === 0 ? body : Compression.decompress(encoding, body, server.maxMessageBytes)
  // what cannot be decompressed is the client's fault, as what cannot be decoded
  if (bytes instanceof KratosError.KratosError) return bytes.grpc === Grpc.INTERNAL ? KratosError.badRequest("CODEC", bytes.message) : bytes
  if (bytes.length > server.maxMessageBytes) return GrpcError.tooLarge(bytes.length, server.maxMessageBytes)
  return input.decode(bytes) ?? undecodable(operation.desc.input.typeName)
}

const respond = (
  server: GrpcServer,
  exchange: HttpExchange,
  call: Incoming,
  output: MessageCodec,
  format: Format,
  reply: Reply,
  metadata: Fields
): void => {
  let bytes: Uint8Array
  try {
    bytes = output.encode(reply)
  } catch (cause) {
    server.report(`${call.operation}: the reply cannot be encoded`, cause)
    return respondError(exchange, KratosError.internalServer("", "internal error"), metadata)
  }
  const zip = bytes.length >= WORTHWHILE && takesGzip(exchange.header("accept-encoding"))
  if (zip) bytes = Compression.compress("gzip", bytes)
  const fields: Array<readonly [string, string]> = [
    ["content-type", `application/${format}`],
    ["content-length", String(bytes.length)],
    ...metadata
  ]
  if (zip) fields.push(["content-encoding", "gzip"])
  // only a GET may be kept by a cache on the way
  if (exchange.method === "GET") fields.push(["vary", "accept-encoding"])
  exchange.respond(200, fields, bytes)
}

const respondError = (exchange: HttpExchange, error: KratosError.KratosError, fields: Fields, status?: number): void => {
  const code = grpcCode(error)
  const body = Buffer.from(JSON.stringify(ErrorJson.make(error)))
  const all: Array<readonly [string, string]> = [["content-type", "application/json"], ["content-length", String(body.length)], ...fields]
  // tells what would be understood
  if (code === Grpc.UNIMPLEMENTED) all.push(["accept-encoding", "gzip"])
  exchange.respond(status ?? Codes.httpStatus(code), all, body)
}

/** Header metadata as it is, trailer metadata under names that say so. */
const replyFields = (call: Incoming): Fields | KratosError.KratosError => {
  const headers = call.replyIfAny === undefined ? [] : HeaderFields.fromMetadata(call.replyIfAny)
  if (headers instanceof KratosError.KratosError || call.trailersIfAny === undefined) return headers
  const trailers = HeaderFields.fromMetadata(call.trailersIfAny)
  if (trailers instanceof KratosError.KratosError) return trailers
  return [...headers, ...trailers.map(([name, value]) => [`trailer-${name}`, value] as const)]
}
