/**
 * Reads the head of an HTTP/1.1 request when it is of the common, strictly well-formed kind: one of six methods, a path as target, CRLF line ends, token
 * names, a length or no body, nothing that changes how the message is framed or the connection is used. Anything else is not judged here but
 * left, byte for byte, to `node:http`; so there is no second opinion on a request that two readers could understand differently.
 */

export interface Head {
  readonly method: string
  readonly target: string
  readonly host: string
  /** Flat list of fields, names in lower case. */
  readonly fields: ReadonlyArray<string>
  readonly contentLength: number
}

const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]

/** Fields that change the framing or the connection, RFC 9112 sections 6, 7 and 9. By length, because hashing a name costs more than comparing it. */
const isForeign = (name: string): boolean => {
  switch (name.length) {
    case 2:
      return name === "te"
    case 6:
      return name === "expect"
    case 7:
      return name === "trailer" || name === "upgrade"
    case 10:
      return name === "connection" || name === "keep-alive"
    case 14:
      return name === "http2-settings"
    case 16:
      return name === "proxy-connection"
    case 17:
      return name === "transfer-encoding"
    default:
      return false
  }
}

const LOWER = 1
const UPPER = 2
/** What an octet is in a name; 0 where it may not stand. */
const token = new Uint8Array(128)
for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") token[c.charCodeAt(0)] = LOWER
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZ") token[c.charCodeAt(0)] = UPPER

/** Parses a head without its empty line, one octet a UTF-16 unit. Undefined: leave it to `node:http`. */
export const parse = (text: string): Head | undefined => {
  const lineEnd = text.indexOf("\r\n")
  const line = lineEnd < 0 ? text : text.slice(0, lineEnd)
  const space = line.indexOf(" ")
  const method = methodOf(line, space)
  if (method === undefined || !line.endsWith(" HTTP/1.1")) return undefined
  const target = line.slice(space + 1, -9)
  if (!isPath(target)) return undefined

  const fields: Array<string> = []
  let host: string | undefined
  let contentLength = -1
  for (let at = lineEnd < 0 ? text.length : lineEnd + 2; at < text.length;) {
    const next = text.indexOf("\r\n", at)
    const end = next < 0 ? text.length : next
    const colon = text.indexOf(":", at)
    const letters = colon < 0 || colon >= end ? 0 : lettersOf(text, at, colon)
    if (letters === 0) return undefined
    const raw = text.slice(at, colon)
    const name = letters === LOWER ? raw : raw.toLowerCase()
    if (isForeign(name) && !(name === "connection" && isKeepAlive(text, colon, end))) return undefined
    let from = colon + 1
    let to = end
    while (from < to && isSpace(text.charCodeAt(from))) from++
    while (to > from && isSpace(text.charCodeAt(to - 1))) to--
    if (!isValue(text, from, to)) return undefined
    const value = text.slice(from, to)
    if (name === "host") {
      if (host !== undefined || value === "") return undefined
      host = value
    } else if (name === "content-length") {
      if (contentLength >= 0 || !/^\d{1,9}$/.test(value)) return undefined
      contentLength = Number(value)
    }
    fields.push(name, value)
    at = end + 2
  }
  return host === undefined ? undefined : { method, target, host, fields, contentLength: Math.max(0, contentLength) }
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09

/** The kinds of letters in a name, or-ed; 0 when it is none. */
const lettersOf = (text: string, from: number, to: number): number => {
  let letters = 0
  for (let i = from; i < to; i++) {
    const kind = token[text.charCodeAt(i)]
    if (kind === undefined || kind === 0) return 0
    letters |= kind
  }
  return letters
}

const methodOf = (line: string, length: number): string | undefined => {
  for (let i = 0; i < METHODS.length; i++) {
    const method = METHODS[i]!
    if (method.length === length && line.startsWith(method)) return method
  }
  return undefined
}

/** Visible characters, spaces and tabs, and octets above ASCII: no bare CR, no LF, no NUL. */
const isValue = (text: string, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false
  }
  return true
}

/** An absolute path and a query, in the characters that Node lets through; `//…` has meanings of its own. */
const isPath = (target: string): boolean => {
  if (target.charCodeAt(0) !== 0x2f || target.charCodeAt(1) === 0x2f) return false
  for (let i = 0; i < target.length; i++) {
    const code = target.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false
  }
  return true
}

const isKeepAlive = (text: string, colon: number, end: number): boolean => /^:[ \t]*keep-alive[ \t]*$/i.test(text.slice(colon, end))
