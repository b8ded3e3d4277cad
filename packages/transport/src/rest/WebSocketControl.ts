/**
 * The control messages of Kratos v3 on a WebSocket: text frames that begin with the byte 0x1E, which no JSON begins with. `end` says that the sender has
 * sent its last message; `error:` and a text, that its call has failed. We put the error's JSON there, which a Kratos client reports as it is and
 * ours reads back; of a Kratos server's text we read code, reason, message and metadata.
 */
import { fromJsonString } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Json from "../codec/Json.ts"
import { StatusSchema } from "../gen/errors/errors_pb.ts"
import * as ErrorBody from "./ErrorBody.ts"

export type Control =
  | { readonly _tag: "End" }
  | { readonly _tag: "Error"; readonly error: KratosError.KratosError }
  | { readonly _tag: "Unknown" }

const PREFIX = 0x1e

export const end = "\u001eend"

export const error = (error: KratosError.KratosError): string =>
  `\u001eerror:${Buffer.from(ErrorBody.encodeWith(error, Json.json).body).toString()}`

/** Undefined for a frame that is a message. */
export const parse = (frame: Buffer): Control | undefined => {
  if (frame[0] !== PREFIX) return undefined
  const text = frame.toString("utf8", 1)
  if (text === "end") return { _tag: "End" }
  return text.startsWith("error:") ? { _tag: "Error", error: parseError(text.slice(6)) } : { _tag: "Unknown" }
}

/** A text in a close frame: at most 123 bytes, cut between characters. */
export const closeReason = (error: KratosError.KratosError): string => {
  let text = error.reason === "" ? error.message : `${error.reason}: ${error.message}`
  // a UTF-16 unit is one byte at least
  text = text.slice(0, MAX_REASON)
  while (Buffer.byteLength(text) > MAX_REASON) text = text.slice(0, -1)
  return text.isWellFormed() ? text : text.slice(0, -1).toWellFormed()
}

const MAX_REASON = 123

/** The text of Go's Error of Kratos: `error: code = 404 reason = R message = M metadata = map[k:v] cause = <nil>`. */
const goError = /^error: code = (\d{1,6}) reason = (\S*) message = (.*) metadata = map\[(.*?)\] cause = (.*)$/s

/** The error in such a text; another text is 500 with it as its message. */
export const parseError = (text: string): KratosError.KratosError => {
  if (text.startsWith("{")) {
    try {
      const { code, message, metadata, reason } = fromJsonString(StatusSchema, text, { ignoreUnknownFields: true })
      if (code !== 0) return KratosError.make(code, reason, message, { metadata })
    } catch {
      // a text like any other
    }
  }
  const match = goError.exec(text)
  if (match === null) return KratosError.internalServer("", text)
  return KratosError.make(Number(match[1]), match[2]!, match[3]!, { metadata: goMap(match[4]!) })
}

/** Pairs that Go has printed: `a:1 b:two words`. What does not look like a key belongs to the value before. */
const goMap = (text: string): Record<string, string> => {
  const pairs: Array<[string, string]> = []
  for (const part of text === "" ? [] : text.split(" ")) {
    const colon = part.indexOf(":")
    const last = pairs.at(-1)
    if (colon > 0) pairs.push([part.slice(0, colon), part.slice(colon + 1)])
    else if (last !== undefined) last[1] += ` ${part}`
  }
  return Object.fromEntries(pairs)
}
