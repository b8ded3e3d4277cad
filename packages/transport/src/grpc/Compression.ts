/** Message compression: gzip and deflate, bounded by the message limit so that a small message cannot become a large one. */
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib"
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as GrpcError from "./GrpcError.ts"

export type Encoding = "gzip" | "deflate"

/** The encodings that we read, as `grpc-accept-encoding` lists them. */
export const ACCEPTED = "identity,gzip,deflate"

/** The encoding of a `grpc-encoding` header: undefined for identity, an error for one that we do not know. */
export const parse = (header: string | undefined): Encoding | undefined | KratosError =>
  header === undefined || header === "identity"
    ? undefined
    : header === "gzip" || header === "deflate"
      ? header
      : GrpcError.unknownEncoding(header)

/** The encoding for replies to a client that sends this `grpc-accept-encoding`; undefined for identity. */
export const accepted = (header: string | undefined): Encoding | undefined => {
  const names = header?.split(",").map((name) => name.trim()) ?? []
  return names.includes("gzip") ? "gzip" : names.includes("deflate") ? "deflate" : undefined
}

export const compress = (encoding: Encoding, message: Uint8Array): Uint8Array =>
  encoding === "gzip" ? gzipSync(message) : deflateSync(message)

/** Decompresses a message to at most `maxBytes`. */
export const decompress = (encoding: Encoding, message: Uint8Array, maxBytes: number): Uint8Array | KratosError => {
  // zlib refuses a limit of zero
  const options = { maxOutputLength: Math.max(1, maxBytes) }
  try {
    return encoding === "gzip" ? gunzipSync(message, options) : inflateSync(message, options)
  } catch (error) {
    return isTooLarge(error) ? GrpcError.tooLarge(undefined, maxBytes) : GrpcError.malformed(`a message is not valid ${encoding}`)
  }
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof RangeError && (error as { readonly code?: string }).code === "ERR_BUFFER_TOO_LARGE"
