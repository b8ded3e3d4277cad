/** Which compressions a client reads: `accept-encoding` and its relatives of gRPC-Web and Connect. */

/** Replies shorter than this, in bytes, are sent as they are: compression would cost more than it saves. */
export const WORTHWHILE = 1024

/** True when a list such as `br;q=1, gzip` names gzip, or anything at all, and not with a weight of zero. */
export const takesGzip = (header: string | undefined): boolean => {
  if (header === undefined) return false
  let any = false
  for (const part of header.toLowerCase().split(",")) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim())
    const wanted = !parameters.some((parameter) => /^q=0(\.0{0,3})?$/.test(parameter))
    if (name === "gzip") return wanted
    if (name === "*") any = wanted
  }
  return any
}
