/**
 * The base64 of `application/grpc-web-text`. A body is any number of base64 texts one after the other, each with its own padding, cut anywhere on its
 * way; we pad each part that we send, so that no byte waits for the next message.
 */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as GrpcError from "../grpc/GrpcError.ts"
import type { Text } from "../http/EnvelopedCall.ts"

export const make = (): Text => {
  /** The digits of a quantum of four that has not come whole. */
  let rest = ""
  return {
    decode: (chunk) => {
      const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1")
      const whole = text.length - (text.length % 4)
      rest = text.slice(whole)
      return decode(text.slice(0, whole))
    },
    end: () => (rest === "" ? undefined : GrpcError.malformed("the request ended inside its base64")),
    encode: (chunk) => Buffer.from(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("base64"), "latin1")
  }
}

/** Bytes of whole quanta. */
const decode = (text: string): Uint8Array | KratosError => {
  if (!/^[A-Za-z0-9+/=]*$/.test(text)) return invalid()
  if (!text.includes("=")) return Buffer.from(text, "base64")
  const parts: Array<Buffer> = []
  let from = 0
  while (from < text.length) {
    const padding = text.indexOf("=", from)
    if (padding < 0) {
      parts.push(Buffer.from(text.slice(from), "base64"))
      break
    }
    // padding ends its quantum: one or two, behind at least two digits
    const end = padding + 4 - (padding % 4)
    const length = end - padding
    if (length > 2 || (length === 2 && text[padding + 1] !== "=")) return invalid()
    parts.push(Buffer.from(text.slice(from, end), "base64"))
    from = end
  }
  return Buffer.concat(parts)
}

const invalid = (): KratosError => GrpcError.malformed("the request is not valid base64")
