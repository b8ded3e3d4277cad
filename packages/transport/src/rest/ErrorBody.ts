/**
 * Errors as HTTP replies, in the form that Kratos clients read: `errors.Status` by the codec that `Accept` asks for; in JSON the keys `code`,
 * `reason`, `message`, `metadata` in this order and always all of them. The status line has the same code.
 */
import { create, type MessageShape } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import type { Codec } from "../codec/Codec.ts"
import * as Codecs from "../codec/Codecs.ts"
import * as Problem from "../codec/Problem.ts"
import { StatusSchema } from "../gen/errors/errors_pb.ts"
import type { HttpExchange } from "../http/HttpExchange.ts"
import type { Reply } from "./Binding.ts"

export interface ErrorReply extends Reply {
  readonly status: number
}

/** An error's reply. A code that is no final status of an error, below 300 or above 599, leaves as 500. */
export const encode = (error: KratosError.KratosError, accept: string | undefined, codecs: Codecs.Codecs = Codecs.standard): ErrorReply =>
  encodeWith(error, codecs.forError(accept))

/** The same by one codec: for errors inside of streams. */
export const encodeWith = (error: KratosError.KratosError, codec: Codec): ErrorReply => {
  const code = Number.isInteger(error.code) && error.code >= 300 && error.code <= 599 ? error.code : 500
  const body = codec.encode(
    StatusSchema,
    create(StatusSchema, { code, reason: error.reason, message: error.message, metadata: { ...error.metadata } })
  )
  return Result.isSuccess(body)
    ? { status: code, contentType: codec.contentType, body: body.success }
    : { status: 500, contentType: codec.contentType, body: new Uint8Array(0) }
}

/** Answers an exchange with an error. */
export const respond = (
  exchange: HttpExchange,
  error: KratosError.KratosError,
  fields: ReadonlyArray<readonly [string, string]> = [],
  codecs: Codecs.Codecs = Codecs.standard
): void => {
  const reply = encode(error, exchange.header("accept"), codecs)
  exchange.respond(
    reply.status,
    [["content-type", reply.contentType], ["content-length", String(reply.body.length)], ...fields],
    reply.body
  )
}

/**
 * The error in a reply, for clients: read by its content type, or as JSON; the code is the status line's, whatever the body says. A body that
 * cannot be read leaves reason and message empty, and stays behind as the cause.
 */
export const decode = (
  status: number,
  contentType: string | undefined,
  body: Uint8Array,
  codecs: Codecs.Codecs = Codecs.standard
): KratosError.KratosError => {
  if (body.length === 0) return KratosError.make(status, "", "")
  const codec =
    contentType !== undefined && Codecs.mediaType(contentType) === Problem.contentType
      ? Problem.codec
      : Result.getOrElse(codecs.forBody(contentType), () => codecs.forReply(undefined))
  return Result.match(codec.decode(StatusSchema, body), {
    onFailure: (cause) => KratosError.make(status, "", "", { cause }),
    onSuccess: ({ message, metadata, reason }: MessageShape<typeof StatusSchema>) => KratosError.make(status, reason, message, { metadata })
  })
}
