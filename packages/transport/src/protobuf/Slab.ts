/**
 * Copies of short pieces of bytes that share memory, as those of `Buffer.allocUnsafe` do: memory of its own costs a piece many times what its copy costs. A
 * piece that is kept keeps its slab.
 */

/** Bytes of a slab. */
export const SIZE = 32_768
/** Longer pieces have memory of their own. */
const LONGEST = 16_384

let slab = new Uint8Array(0)
let used = 0

/** A copy of a part of `source`. */
export const copy = (source: Uint8Array, start: number, end: number): Uint8Array => {
  const length = end - start
  if (length > LONGEST) return Uint8Array.prototype.slice.call(source, start, end)
  if (slab.length - used < length) {
    slab = new Uint8Array(Buffer.allocUnsafeSlow(SIZE).buffer)
    used = 0
  }
  const at = used
  used += length
  if (length > 48) slab.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
  else for (let i = 0; i < length; i++) slab[at + i] = source[start + i]!
  return new Uint8Array(slab.buffer, at, length)
}
