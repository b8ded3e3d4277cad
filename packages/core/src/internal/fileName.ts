/**
 * One path segment for any text. Bytes outside a small safe set are written `%XX`, so that no name leaves its directory, hides itself or
 * meets another; undefined when the text is empty or the segment would be longer than file systems take.
 */
export const fileName = (text: string): string | undefined => {
  if (text === "" || text.length > maxLength) return undefined
  let segment = ""
  for (const byte of encoder.encode(text)) {
    const character = String.fromCharCode(byte)
    const safe = /[\w-]/.test(character) || (character === "." && segment !== "")
    segment += safe ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }
  return segment.length > maxLength ? undefined : segment
}

/** File systems take 255 bytes; this leaves room for the endings that callers add. */
const maxLength = 180

const encoder = new TextEncoder()
