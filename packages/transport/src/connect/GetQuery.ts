/**
 * The request of a unary GET, which is all in the query: `connect=v1&encoding=json&message=…`, with `base64=1` for bytes and `compression` as for a
 * body. Percent-encoding may hold any bytes, so that a message need not be text.
 */

export interface GetQuery {
  readonly version: string | undefined
  readonly encoding: string | undefined
  readonly compression: string | undefined
  readonly message: Uint8Array
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What is wrong with the query is a string. The first of equal keys counts. */
export const parse = (query: string): GetQuery | string => {
  const values = new Map<string, Uint8Array>()
  for (const pair of query.split("&", MAX_PAIRS)) {
    const equals = pair.indexOf("=")
    const name = equals < 0 ? pair : pair.slice(0, equals)
    if (!known.has(name) || values.has(name)) continue
    const bytes = unescape(equals < 0 ? "" : pair.slice(equals + 1))
    if (bytes === undefined) return `${name} is not valid percent-encoding`
    values.set(name, bytes)
  }
  const text = (name: string) => {
    const bytes = values.get(name)
    return bytes === undefined ? undefined : decoder.decode(bytes)
  }
  const raw = values.get("message")
  if (raw === undefined) return "the query has no message"
  const message = text("base64") === "1" ? decodeBase64(decoder.decode(raw)) : raw
  if (message === undefined) return "message is not valid base64"
  return { version: text("connect"), encoding: text("encoding"), compression: text("compression"), message }
}

const MAX_PAIRS = 64
const known = new Set(["connect", "encoding", "message", "base64", "compression"])

/** Bytes of percent-encoded text, with `+` for a space; undefined when it is malformed. */
const unescape = (text: string): Uint8Array | undefined => {
  const bytes = encoder.encode(text)
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    let byte = bytes[i]!
    if (byte === PERCENT) {
      const high = hex(bytes[i + 1])
      const low = hex(bytes[i + 2])
      if (high < 0 || low < 0) return undefined
      byte = (high << 4) | low
      i += 2
    } else if (byte === PLUS) byte = SPACE
    bytes[length++] = byte
  }
  return bytes.subarray(0, length)
}

const [PERCENT, PLUS, SPACE] = [0x25, 0x2b, 0x20]

const hex = (byte: number | undefined): number => {
  if (byte === undefined) return -1
  if (byte >= 48 && byte <= 57) return byte - 48
  const letter = byte | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

/** Either alphabet, padded or not. */
const decodeBase64 = (text: string): Uint8Array | undefined => {
  const match = /^([A-Za-z0-9_-]*|[A-Za-z0-9+/]*)(={0,2})$/.exec(text)
  if (match === null) return undefined
  const [, digits, padding] = match
  const rest = digits!.length % 4
  if (rest === 1 || (padding !== "" && rest + padding!.length !== 4)) return undefined
  return Buffer.from(digits!, "base64") // reads both alphabets
}
