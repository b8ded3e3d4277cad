/** The server-sent events of a reply, as messages of a call. A reader that is slow pauses the connection. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Codec } from "../codec/Codec.ts"
import { StatusSchema } from "../gen/errors/errors_pb.ts"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { Outgoing } from "../Outgoing.ts"
import { EventReader } from "./EventFraming.ts"
import { lost, type Reply } from "./HttpCall.ts"
import type { Read } from "./StreamCodec.ts"

/** Bytes that may wait for whoever reads the messages. */
const WINDOW = 65_536

export interface Options {
  readonly codec: Codec
  readonly read: Read
  readonly maxMessageBytes: number
}

/** Completes at the end of the events. */
export const receive = ({ body, contentType }: Reply, call: Outgoing, options: Options): Effect.Effect<void, KratosError.KratosError> =>
  Effect.callback((resume) => {
    const fail = (error: KratosError.KratosError) => {
      failed = true
      resume(Effect.fail(error))
    }
    let failed = false
    let waiting = 0
    const isStream = /^text\/event-stream\s*(;|$)/i.test(contentType ?? "")
    const reader = new EventReader(options.maxMessageBytes, (name, data) => {
      if (failed) return
      if (name === "error") fail(errorOf(data, options.codec))
      // other names are for other readers
      if (name !== "" && name !== "message") return
      const message = options.read(data, options.codec, undefined)
      if (Result.isSuccess(message)) {
        if (call.commit()) call.replies.push(message.success)
      } else fail(GrpcError.malformed(`a reply message cannot be decoded: ${message.failure.message}`))
    })
    call.replies.attach((bytes) => {
      waiting -= bytes
      if (waiting < WINDOW && body.isPaused()) body.resume()
    })
    body.on("data", (chunk: Buffer) => {
      if (failed) return
      // a stream of nothing has no type, and no body either
      if (!isStream) return fail(GrpcError.malformed(`the reply has content-type ${JSON.stringify((contentType ?? "").slice(0, 64))}`))
      waiting += chunk.length
      if (!reader.push(chunk)) return fail(GrpcError.tooLarge(undefined, options.maxMessageBytes))
      call.replies.received(chunk.length)
      if (waiting >= WINDOW) body.pause()
    })
    body.once("end", () => resume(Effect.void))
    body.on("error", (error) => fail(lost(error)))
  })

/** The error in an event; what cannot be read is 500 with its text. */
const errorOf = (data: Uint8Array, codec: Codec): KratosError.KratosError =>
  Result.match(codec.decode(StatusSchema, data), {
    onFailure: () => KratosError.internalServer("", Buffer.from(data).toString()),
    onSuccess: ({ code, message, metadata, reason }) => KratosError.make(code === 0 ? 500 : code, reason, message, { metadata })
  })
