/**
 * `JSON.parse` that reads each key as it is written. V8 13.6 (Node 24) compares a key with the one that an earlier object of the same shape had in its place,
 * by the text before escapes are resolved: after `{"a":1,"\\":2}`, `{"a":1,"\n":2}` is read with the key `\`. A document in which a key may have an
 * escape is therefore parsed with keys that have none, which are then named again. Throws `SyntaxError` as `JSON.parse` does.
 */
export const parseJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  const escape = text.indexOf("\\")
  if (escape === -1 || text.lastIndexOf(":") < escape) return value
  // the text is well-formed: each quote that is met ends a string
  const plain = text.replace(strings, (whole: string, string: string, colon: string | undefined) =>
    colon === undefined ? whole : `"${plainOf(JSON.parse(string) as string)}"${colon}`
  )
  return named(JSON.parse(plain))
}

const strings = /("(?:[^"\\]|\\.)*")(\s*:)?/g

/** The letter keeps keys of digits from being sorted as indices. */
const plainOf = (key: string): string => `k${key.replace(/[^]/g, (unit) => unit.charCodeAt(0).toString(16).padStart(4, "0"))}`
const keyOf = (plain: string): string => plain.slice(1).replace(/.{4}/g, (hex) => String.fromCharCode(Number.parseInt(hex, 16)))

const named = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(named)
  // fromEntries defines own properties: a key `__proto__` stays a key
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [keyOf(key), named(item)]))
}
