/** The last envelope of a Connect stream: JSON with the error, if there is one, and the trailers. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import * as ErrorJson from "./ErrorJson.ts"

/** Marks the envelope. */
export const FLAG = 2

/** Longest content of the envelope that clients read, in bytes, where their limit of messages is lower. */
export const MAX_BYTES = 65_536

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

/** The envelope, prefix and all. */
export const encode = (error: KratosError.KratosError | undefined, trailers: ReadonlyArray<readonly [string, string]>): Uint8Array => {
  if (error === undefined && trailers.length === 0) return OK
  const metadata: Array<[string, Array<string>]> = []
  for (const [name, value] of trailers) {
    const last = metadata.at(-1)
    if (last?.[0] === name) last[1].push(value)
    else metadata.push([name, [value]])
  }
  return envelope(
    encoder.encode(
      JSON.stringify({
        ...(error === undefined ? undefined : { error: ErrorJson.make(error) }),
        // entries are own properties even under the name __proto__
        ...(metadata.length === 0 ? undefined : { metadata: Object.fromEntries(metadata) })
      })
    )
  )
}

const envelope = (payload: Uint8Array): Uint8Array => {
  const framed = new Uint8Array(5 + payload.length)
  framed[0] = FLAG
  new DataView(framed.buffer).setUint32(1, payload.length)
  framed.set(payload, 5)
  return framed
}

const OK = envelope(encoder.encode("{}"))

export interface End {
  readonly error: KratosError.KratosError | undefined
  readonly trailers: Metadata.MutableMetadata
}

/** The content of an envelope, without its prefix; undefined when it is not what it should be. */
export const decode = (payload: Uint8Array): End | undefined => {
  let json: unknown
  try {
    json = JSON.parse(decoder.decode(payload))
  } catch {
    return undefined
  }
  if (!ErrorJson.isRecord(json)) return undefined
  const { error, metadata } = json
  const trailers = Metadata.make()
  if (ErrorJson.isRecord(metadata)) {
    for (const [name, values] of Object.entries(metadata)) {
      if (!Array.isArray(values)) continue
      for (const value of values) if (typeof value === "string") Metadata.add(trailers, name, value)
    }
  }
  return { error: error === undefined || error === null ? undefined : ErrorJson.parse(error, Grpc.UNKNOWN), trailers }
}
