/** Pairs of `application/x-www-form-urlencoded` text, as in queries and form bodies: `a=1&b=two+words&c=%C3%BC`. */

/** Broken percent-encoding, or bytes that are not UTF-8. */
export class BadEncoding extends Error {
  override readonly message = "broken percent-encoding"
}

/** Decodes a key or a value: `+` is a space, `%XX` a byte of UTF-8. Throws `BadEncoding`. */
export const decode = (raw: string): string => {
  const text = raw.includes("+") ? raw.replaceAll("+", " ") : raw
  if (!text.includes("%")) return text
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BadEncoding()
  }
}

/** Encodes everything but letters, digits and `-_.~`. A lone surrogate becomes a replacement character. */
export const percentEncode = (text: string): string =>
  /^[A-Za-z0-9\-_.~]*$/.test(text)
    ? text
    : encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, "\ufffd")).replaceAll(
        /[!'()*]/g,
        (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
      )

/** Encodes a key or a value: the same, with `+` for a space. */
export const encode = (text: string): string => percentEncode(text).replaceAll("%20", "+")

/** Calls `visit` with every raw pair, in order; a key without `=` has an empty value, pairs without any text are skipped. */
export const each = (raw: string, visit: (key: string, value: string) => void): void => {
  let start = 0
  while (start < raw.length) {
    let end = raw.indexOf("&", start)
    if (end === -1) end = raw.length
    if (end > start) {
      const equals = raw.indexOf("=", start)
      if (equals === -1 || equals > end) visit(raw.slice(start, end), "")
      else visit(raw.slice(start, equals), raw.slice(equals + 1, end))
    }
    start = end + 1
  }
}

/** Text of pairs, sorted by key; pairs of one key keep their order. */
export const format = (pairs: ReadonlyArray<readonly [key: string, value: string]>): string =>
  pairs
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .join("&")
