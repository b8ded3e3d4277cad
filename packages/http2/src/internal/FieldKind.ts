/**
 * What a field name means to HTTP/2 itself, as a small integer. It is computed once when a name enters a table, so that the checks of RFC 9113
 * section 8 cost a switch a field.
 */
export const REGULAR = 0
export const METHOD = 1
export const PATH = 2
export const SCHEME = 3
export const AUTHORITY = 4
export const PROTOCOL = 5
export const STATUS = 6
/** A name that is malformed wherever it stands: bad characters, unknown pseudo field, connection-specific field. */
export const BAD = 7
export const TE = 8
export const CONTENT_LENGTH = 9
export const COOKIE = 10
export const HOST = 11
/** Mask of the above. */
export const NAME = 15
/** Set beside the kind of the name when the value holds what no value may. */
export const BAD_VALUE = 16

const pseudo = (name: string): number => {
  switch (name) {
    case ":method":
      return METHOD
    case ":path":
      return PATH
    case ":scheme":
      return SCHEME
    case ":authority":
      return AUTHORITY
    case ":protocol":
      return PROTOCOL
    case ":status":
      return STATUS
    default:
      return BAD
  }
}

/** The kind of a name; `bad` says that it holds an octet that is no lower-case token character (a leading colon is one of those). */
export const ofName = (name: string, bad: boolean): number => {
  if (bad) return pseudo(name)
  switch (name.length) {
    case 0:
      return BAD
    case 2:
      return name === "te" ? TE : REGULAR
    case 4:
      return name === "host" ? HOST : REGULAR
    case 6:
      return name === "cookie" ? COOKIE : REGULAR
    case 7:
      return name === "upgrade" ? BAD : REGULAR
    case 10:
      return name === "connection" || name === "keep-alive" ? BAD : REGULAR
    case 14:
      return name === "content-length" ? CONTENT_LENGTH : REGULAR
    case 16:
      return name === "proxy-connection" ? BAD : REGULAR
    case 17:
      return name === "transfer-encoding" ? BAD : REGULAR
    default:
      return REGULAR
  }
}
