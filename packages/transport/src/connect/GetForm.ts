/**
 * Unary calls by GET, the client's side: which methods, and how a message becomes a query (connectrpc.com/docs/protocol, "Unary-Get-Request"). Used in
 * browsers too.
 */
import type { DescMethod } from "@bufbuild/protobuf"
import { base64Encode } from "@bufbuild/protobuf/wire"
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt"
import type { Format } from "../MessageCodec.ts"

/** Longest query; requests that are longer are posted. */
const MAX_QUERY = 4096

export const isSafe = (desc: DescMethod): boolean =>
  desc.methodKind === "unary" && desc.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS

/** The query of an encoded message; the same for the same message, so that caches find it. Undefined when it is too long. */
export const query = (message: Uint8Array, format: Format, compressed: boolean): string | undefined => {
  // base64 would be longer still
  if (message.length > MAX_QUERY) return undefined
  const compression = compressed ? "&compression=gzip" : ""
  const text = `?connect=v1&encoding=${format}${compression}&base64=1&message=${base64Encode(message, "url")}`
  return text.length > MAX_QUERY ? undefined : text
}
