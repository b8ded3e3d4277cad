/** The static table of HPACK, RFC 7541 appendix A. Index 1 is the first entry; the dynamic table starts at 62. */

export const SIZE = 61

// prettier-ignore
const ENTRIES: ReadonlyArray<readonly [name: string, value: string]> = [
  [":authority", ""], [":method", "GET"], [":method", "POST"], [":path", "/"], [":path", "/index.html"], [":scheme", "http"],
  [":scheme", "https"], [":status", "200"], [":status", "204"], [":status", "206"], [":status", "304"], [":status", "400"],
  [":status", "404"], [":status", "500"], ["accept-charset", ""], ["accept-encoding", "gzip, deflate"], ["accept-language", ""],
  ["accept-ranges", ""], ["accept", ""], ["access-control-allow-origin", ""], ["age", ""], ["allow", ""], ["authorization", ""],
  ["cache-control", ""], ["content-disposition", ""], ["content-encoding", ""], ["content-language", ""], ["content-length", ""],
  ["content-location", ""], ["content-range", ""], ["content-type", ""], ["cookie", ""], ["date", ""], ["etag", ""],
  ["expect", ""], ["expires", ""], ["from", ""], ["host", ""], ["if-match", ""], ["if-modified-since", ""],
  ["if-none-match", ""], ["if-range", ""], ["if-unmodified-since", ""], ["last-modified", ""], ["link", ""], ["location", ""],
  ["max-forwards", ""], ["proxy-authenticate", ""], ["proxy-authorization", ""], ["range", ""], ["referer", ""], ["refresh", ""],
  ["retry-after", ""], ["server", ""], ["set-cookie", ""], ["strict-transport-security", ""], ["transfer-encoding", ""],
  ["user-agent", ""], ["vary", ""], ["via", ""], ["www-authenticate", ""]
]

export interface StaticTable {
  /** By index; slot 0 is empty. */
  readonly names: ReadonlyArray<string>
  readonly values: ReadonlyArray<string>
  /** The first index of a name. */
  readonly byName: ReadonlyMap<string, number>
  /** The index of a name and value, keyed by `keyOf`. */
  readonly byField: ReadonlyMap<string, number>
}

/** One string for a field; a name cannot contain the separator. */
export const keyOf = (name: string, value: string): string => `${name}\n${value}`

let built: StaticTable | undefined

export const table = (): StaticTable => (built ??= build())

const build = (): StaticTable => {
  const names = [""]
  const values = [""]
  const byName = new Map<string, number>()
  const byField = new Map<string, number>()
  for (const [name, value] of ENTRIES) {
    const index = names.push(name) - 1
    values.push(value)
    if (!byName.has(name)) byName.set(name, index)
    byField.set(keyOf(name, value), index)
  }
  return { names, values, byName, byField }
}
