/**
 * A string literal of JSON. Short text is usually clean, and looking is cheaper than the general case. Half of a character becomes U+FFFD, as everywhere
 * else on the wire: readers of JSON would refuse it.
 */
export const quote = (text: string): string => {
  if (text.length > 48) return JSON.stringify(text.toWellFormed())
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 32 || code === 34 || code === 92 || (code >= 0xd800 && code <= 0xdfff)) return JSON.stringify(text.toWellFormed())
  }
  return `"${text}"`
}
