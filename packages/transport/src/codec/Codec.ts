/**
 * How messages become bytes and back. A codec throws nothing: input that does not decode is 400 `CODEC` with a text that names the field,
 * and a message that does not encode is 500 without detail, since that is the service's own fault.
 */
import type { DescField, DescMessage, Message, MessageShape } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"

export interface Codec {
  /** The subtype behind `application/`. */
  readonly name: string
  /** Label of what this codec writes. */
  readonly contentType: string
  /** All media types that select it, in lower case. */
  readonly contentTypes: ReadonlyArray<string>
  readonly encode: <D extends DescMessage>(schema: D, message: MessageShape<D>) => Result.Result<Uint8Array, KratosError.KratosError>
  readonly decode: <D extends DescMessage>(schema: D, bytes: Uint8Array) => Result.Result<MessageShape<D>, KratosError.KratosError>
  /** The same for one field of a message, of any kind, without its name. Absent where the format has no place for such a thing. */
  readonly field?: FieldCodec | undefined
  /** True when what it writes is not text, which decides how it travels in streams. */
  readonly binary?: boolean | undefined
}

/** The value of one field as a document of its own. */
export interface FieldCodec {
  readonly encode: (field: DescField, message: Message) => Result.Result<Uint8Array, KratosError.KratosError>
  /** Sets the field of `message`. */
  readonly decode: (field: DescField, message: Message, bytes: Uint8Array) => Result.Result<void, KratosError.KratosError>
}

/** The reason of everything that does not decode, as Kratos names it. */
export const reason = "CODEC"

/** Longest text of a peer's making that an error repeats. */
const maxDetail = 200

/** 400 `CODEC`. */
export const malformed = (message: string, cause?: unknown): KratosError.KratosError =>
  KratosError.badRequest(
    reason,
    message.length > maxDetail ? `${message.slice(0, maxDetail)}…` : message,
    cause === undefined ? undefined : { cause }
  )

/** 500 for a reply that does not fit its own contract; the cause stays in this process. */
export const unencodable = (cause: unknown): KratosError.KratosError => KratosError.internalServer("", "internal error", { cause })

/** Runs an encoder that may throw. */
export const encoding = (encode: () => Uint8Array): Result.Result<Uint8Array, KratosError.KratosError> => {
  try {
    return Result.succeed(encode())
  } catch (cause) {
    return Result.fail(unencodable(cause))
  }
}

/** Runs a decoder that may throw; `what` starts the text of its error. */
export const decoding = <A>(what: string, decode: () => A): Result.Result<A, KratosError.KratosError> => {
  try {
    return Result.succeed(decode())
  } catch (cause) {
    // a TypeError is about our code or the runtime's, not about the input
    const detail = cause instanceof Error && !(cause instanceof TypeError) ? `: ${cause.message}` : ""
    return Result.fail(malformed(what + detail, cause))
  }
}
