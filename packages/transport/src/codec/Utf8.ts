/** Text from bytes of a peer: bytes that are not UTF-8 are an error, not replacement characters. */
import { Buffer, isUtf8 } from "node:buffer"
import { BadText } from "./BadText.ts"

/** Decodes; undefined when `bytes` is not UTF-8. A byte order mark at the start is dropped. */
export const decode = (bytes: Uint8Array): string | undefined => {
  if (!isUtf8(bytes)) return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

/** The same, for those who throw: `BadText`. */
export const decodeText = (bytes: Uint8Array): string => {
  const text = decode(bytes)
  if (text === undefined) throw new BadText("not UTF-8")
  return text
}

/** Encodes; a lone surrogate becomes a replacement character. */
export const encode = (text: string): Uint8Array => Buffer.from(text, "utf8")
