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
import * as Msgpack from "./Msgpack.ts"
import * as Problem from "./Problem.ts"
import * as Proto from "./Proto.ts"
import * as Xml from "./Xml.ts"
import * as Yaml from "./Yaml.ts"

export interface Codecs {
  /** The codec for a body under this `Content-Type`; JSON when the header is missing, 415 `CODEC` when nobody knows the type. */
  readonly forBody: (contentType: string | undefined) => Result.Result<Codec.Codec, KratosError.KratosError>
  /** The codec for a reply under this `Accept`; the default when the header is missing or names nothing we have. */
  readonly forReply: (accept: string | undefined) => Codec.Codec
  /** The codec for an error under this `Accept`: that of a reply, or of problem documents where they are named. */
  readonly forError: (accept: string | undefined) => Codec.Codec
}

export interface Options {
  /**
   * What `application/json` is, both ways: the JSON of protobuf, which Kratos v2 and browsers speak, or `std`, that of Go's standard library, for
   * hand-written clients of Kratos v3 that send no `Accept`. Default `protojson`. `application/protojson` is always protobuf's.
   */
  readonly json?: "protojson" | "std" | undefined
  /** More codecs; they have the media types that they name before ours. */
  readonly codecs?: ReadonlyArray<Codec.Codec> | undefined
}

/** The first codec is the default; of two that claim a media type, the later has it. */
export const make = (codecs: readonly [Codec.Codec, ...ReadonlyArray<Codec.Codec>]): Codecs => {
  const byType = new Map<string, Codec.Codec>()
  for (const codec of codecs) for (const type of codec.contentTypes) byType.set(type.toLowerCase(), codec)
  // somebody else may have the default's type by now
  const fallback = byType.get(codecs[0].contentType) ?? codecs[0]

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
    // a browser that opens a link takes XML rather than nothing, it does not ask for it
    const isBrowser = accept.includes("text/html")
    for (const part of accept.split(",", maxRanges)) {
      const type = mediaType(part)
      // a range means: your choice
      const codec = type === "*/*" || type === "application/*" ? fallback : byType.get(type)
      if (codec === undefined || (isBrowser && codec.name === "xml")) continue
      const weight = quality(part)
      if (weight > bestWeight) [best, bestWeight] = [codec, weight]
    }
    return best
  }

  const forError: Codecs["forError"] = (accept) =>
    accept !== undefined &&
    accept.toLowerCase().includes(Problem.contentType) &&
    accept.split(",", maxRanges).some((part) => mediaType(part) === Problem.contentType && quality(part) > 0)
      ? Problem.codec
      : forReply(accept)

  return { forBody, forReply, forError }
}

/** JSON, protojson, proto, form, XML, YAML and MessagePack, and what the options add. */
export const of = ({ codecs = [], json = "protojson" }: Options): Codecs =>
  make([json === "std" ? Json.std : Json.json, Json.protojson, Proto.codec, Form.codec, Xml.codec, Yaml.codec, Msgpack.codec, ...codecs])

/** 415 `CODEC`. */
export const unsupported = (contentType: string): KratosError.KratosError =>
  KratosError.make(415, Codec.reason, `unsupported content type "${mediaType(contentType).slice(0, 100)}"`)

export const standard: Codecs = of({})

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
