/**
 * Which codec reads a body and which writes a reply. Media types match in any case and without their parameters. A reply is JSON unless
 * `Accept` names another format: nobody is refused, and the label `application/protojson` is used exactly when it was asked for, because
 * Go clients of Kratos v3 choose their decoder by it.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import * as Codec from "./Codec.ts"
import * as Form from "./Form.ts"
import * as Json from "./Json.ts"
import * as Proto from "./Proto.ts"

export interface Codecs {
  /** The codec for a body under this `Content-Type`; JSON when the header is missing, 415 `CODEC` when nobody knows the type. */
  readonly forBody: (contentType: string | undefined) => Result.Result<Codec.Codec, KratosError.KratosError>
  /** The codec for a reply under this `Accept`; the default when the header is missing or names nothing we have. */
  readonly forReply: (accept: string | undefined) => Codec.Codec
}

/** The first codec is the default; of two that claim a media type, the later has it. */
export const make = (codecs: readonly [Codec.Codec, ...ReadonlyArray<Codec.Codec>]): Codecs => {
  const fallback = codecs[0]
  const byType = new Map<string, Codec.Codec>()
  for (const codec of codecs) for (const type of codec.contentTypes) byType.set(type, codec)

  const forBody: Codecs["forBody"] = (contentType) => {
    if (contentType === undefined || contentType === "") return Result.succeed(fallback)
    const codec = byType.get(contentType) ?? byType.get(mediaType(contentType))
    if (codec !== undefined) return Result.succeed(codec)
    return Result.fail(unsupported(contentType))
  }

  const forReply: Codecs["forReply"] = (accept) => {
    if (accept === undefined || accept === "*/*" || accept === "") return fallback
    return byType.get(accept) ?? negotiate(accept)
  }

  /** The known type with the highest weight; of equals, the first. */
  const negotiate = (accept: string): Codec.Codec => {
    let best = fallback
    let bestWeight = 0
    for (const part of accept.split(",", maxRanges)) {
      const type = mediaType(part)
      // a range means: your choice
      const codec = type === "*/*" || type === "application/*" ? fallback : byType.get(type)
      if (codec === undefined) continue
      const weight = quality(part)
      if (weight > bestWeight) [best, bestWeight] = [codec, weight]
    }
    return best
  }
  return { forBody, forReply }
}

/** 415 `CODEC`. */
export const unsupported = (contentType: string): KratosError.KratosError =>
  KratosError.make(415, Codec.reason, `unsupported content type "${mediaType(contentType).slice(0, 100)}"`)

/** JSON, protojson, proto and form. */
export const standard: Codecs = make([Json.json, Json.protojson, Proto.codec, Form.codec])

/** Ranges of an `Accept` header that are looked at. */
const maxRanges = 32

/** The media type of a header value, in lower case and without parameters. */
export const mediaType = (value: string): string => {
  const semicolon = value.indexOf(";")
  return (semicolon === -1 ? value : value.slice(0, semicolon)).trim().toLowerCase()
}

/** The weight of a range: 1 unless it says otherwise, 0 when what it says is no weight. */
const quality = (range: string): number => {
  const match = /;\s*q\s*=\s*([^;\s]*)/i.exec(range)
  if (match === null) return 1
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(match[1]!) ? Number(match[1]) : 0
}
