/**
 * The codec of a REST stream's messages, in the way Kratos v3 chooses it: the first known media type of one header, then of another, then
 * protobuf-JSON. Unlike for whole bodies an unknown type is no error: `Accept: text/event-stream` says nothing about the messages.
 */
import type { DescMessage, Message } from "@bufbuild/protobuf"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import * as Codec from "../codec/Codec.ts"
import type { Codecs } from "../codec/Codecs.ts"
import type { HttpBody } from "../gen/google/api/httpbody_pb.ts"
import { complete, type Reply } from "../Implementation.ts"
import * as HttpBodies from "./HttpBodies.ts"

/** Media types of one header that are looked at. */
const MAX_TYPES = 32

/** For what a server reads name `Content-Type` before `Accept`, for what it writes `Accept` before `Content-Type`. */
export const choose = (codecs: Codecs, first: string | undefined, second: string | undefined): Codec.Codec => {
  for (const header of [first, second]) {
    for (const type of (header ?? "").split(",", MAX_TYPES)) {
      const codec = type.trim() === "" ? undefined : codecs.forBody(type.trim())
      if (codec?._tag === "Success") return codec.success
    }
  }
  return Result.getOrElse(codecs.forBody("application/protojson"), () => codecs.forReply(undefined))
}

/** The same for server-sent events, which hold text only: a binary codec gives way to protobuf-JSON. */
export const chooseText = (codecs: Codecs, first: string | undefined, second: string | undefined): Codec.Codec => {
  const codec = choose(codecs, first, second)
  return codec.binary === true ? choose(codecs, undefined, undefined) : codec
}

/** Bytes of a message, or of its initialiser. A `google.api.HttpBody` is its data. Throws what the codec fails with: it is the handler's defect. */
export type Write = (reply: Reply, codec: Codec.Codec) => Uint8Array

export const writer = (schema: DescMessage): Write => {
  // the descriptor says that such a message is an HttpBody
  if (HttpBodies.is(schema)) return (reply) => (complete(schema, reply) as HttpBody).data
  return (reply, codec) => Result.getOrThrow(codec.encode(schema, complete(schema, reply)))
}

/** A message from the bytes of a frame or an event. */
export type Read = (
  bytes: Uint8Array,
  codec: Codec.Codec,
  contentType: string | undefined
) => Result.Result<Message, KratosError.KratosError>

export const reader = (schema: DescMessage): Read => {
  if (HttpBodies.is(schema)) return (bytes, _, contentType) => Result.succeed(HttpBodies.make(bytes, contentType))
  return (bytes, codec) => codec.decode(schema, bytes)
}
