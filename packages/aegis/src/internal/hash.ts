/** Hashes of text by its UTF-8 bytes, as peers written in other languages compute them. */

const prime = 0x01000193

const byte = (hash: number, value: number): number => Math.imul(hash ^ value, prime)

/** Continues FNV-1a, 32 bits, with `text`; begins it unless given. Read the result with `>>> 0`. */
export const fnv1a = (text: string, start = 0x811c9dc5): number => {
  let hash = start
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i)
    if (code < 0x80) {
      hash = byte(hash, code)
      continue
    }
    if (code >= 0xd800 && code < 0xe000) {
      // half of a pair alone becomes the replacement character, as in every encoder
      code = text.codePointAt(i)!
      if (code > 0xffff) i++
      else code = 0xfffd
    }
    if (code < 0x800) hash = byte(hash, 0xc0 | (code >> 6))
    else {
      if (code < 0x10000) hash = byte(hash, 0xe0 | (code >> 12))
      else hash = byte(byte(hash, 0xf0 | (code >> 18)), 0x80 | ((code >> 12) & 0x3f))
      hash = byte(hash, 0x80 | ((code >> 6) & 0x3f))
    }
    hash = byte(hash, 0x80 | (code & 0x3f))
  }
  return hash
}

/** MurmurHash3, the variant of 32 bits for x86, of the first `length` bytes. */
export const murmur3 = (bytes: Uint8Array, length: number, seed: number): number => {
  let hash = seed
  const blocks = length & ~3
  for (let i = 0; i < blocks; i += 4) {
    hash ^= mix(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let i = length - 1; i >= blocks; i--) tail = (tail << 8) | bytes[i]!
  if (length > blocks) hash ^= mix(tail)
  hash ^= length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const mix = (block: number): number => {
  const k = Math.imul(block, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}
