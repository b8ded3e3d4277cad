/**
 * The Huffman code of HPACK, RFC 7541 appendix B. The code is canonical: symbols of equal length have consecutive codes in symbol order, so the list of
 * lengths says everything. Tables are built at the first use, not at import. The decoder is a state machine that takes a byte at a time; a state is an
 * inner node of the code tree, and since every code has at least 5 bits one byte completes at most two symbols.
 */

// prettier-ignore
const LENGTHS: ReadonlyArray<number> = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30
]

const EOS = 256

/** Entry: next state (bits 0–7), symbols (8–15 and 16–23), their count (24–25), then these flags. */
export const NEXT_BITS = 0xff
export const FAIL = 1 << 26
/** A decoded octet may not stand in a field value (NUL, CR, LF). */
export const BAD_VALUE = 1 << 27
/** A decoded octet may not stand in a field name: not a token character, or upper case. */
export const BAD_NAME = 1 << 28

export interface Tables {
  /** 256 states × 256 octets. */
  readonly transitions: Int32Array
  /** 1 where a string may end: the root, or up to 7 one-bits below it. */
  readonly accepting: Uint8Array
  readonly codes: Uint32Array
  readonly lengths: Uint8Array
  /** Flags `BAD_NAME` and `BAD_VALUE` of an octet. */
  readonly octets: Int32Array
}

let built: Tables | undefined

export const tables = (): Tables => (built ??= build())

const classify = (): Int32Array => {
  const octets = new Int32Array(256).fill(BAD_NAME)
  for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") octets[c.charCodeAt(0)] = 0
  for (const c of [0, 10, 13]) octets[c]! |= BAD_VALUE
  return octets
}

const build = (): Tables => {
  const codes = new Uint32Array(257)
  const lengths = Uint8Array.from(LENGTHS)
  const order = Array.from({ length: 257 }, (_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b)
  let code = 0
  let length = 5
  for (const symbol of order) {
    code <<= lengths[symbol]! - length
    length = lengths[symbol]!
    codes[symbol] = code++
  }

  // The tree: an inner node n has children tree[2n] and tree[2n + 1]; a leaf is stored as ~symbol, so 0 means "not there yet".
  const tree = new Int32Array(512)
  const accepting = new Uint8Array(256)
  accepting[0] = 1
  let nodes = 1
  for (const symbol of order) {
    let node = 0
    for (let bit = lengths[symbol]! - 1; bit > 0; bit--) {
      const slot = node * 2 + ((codes[symbol]! >>> bit) & 1)
      if (tree[slot] === 0) tree[slot] = nodes++
      node = tree[slot]!
    }
    tree[node * 2 + (codes[symbol]! & 1)] = ~symbol
  }
  for (let depth = 1, node = 0; depth <= 7; depth++) {
    node = tree[node * 2 + 1]!
    accepting[node] = 1
  }

  const octets = classify()
  const transitions = new Int32Array(256 * 256)
  for (let state = 0; state < 256; state++) {
    for (let byte = 0; byte < 256; byte++) {
      let node = state
      let entry = 0
      let count = 0
      for (let bit = 7; bit >= 0; bit--) {
        const child = tree[node * 2 + ((byte >>> bit) & 1)]!
        if (child >= 0) {
          node = child
        } else if (~child === EOS) {
          entry = FAIL
          node = 0
          break
        } else {
          entry |= (~child << (8 + count * 8)) | octets[~child]!
          count++
          node = 0
        }
      }
      transitions[state * 256 + byte] = entry | node | (count << 24)
    }
  }
  return { transitions, accepting, codes, lengths, octets }
}

/** Length in octets of the Huffman form of a string of octets (one per UTF-16 unit). */
export const encodedLength = (text: string): number => {
  const { lengths } = tables()
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff]!
  return (bits + 7) >>> 3
}

/** Writes the Huffman form of `text` at `position` and returns the position behind it; the room must be there. */
export const encode = (text: string, target: Uint8Array, position: number): number => {
  const { codes, lengths } = tables()
  // At most 7 bits wait in `pending`; a code of 30 bits is split so that the sum stays within 32.
  let pending = 0
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i) & 0xff
    let left = lengths[octet]!
    const code = codes[octet]!
    while (left > 0) {
      const take = left > 16 ? left - 16 : left
      left -= take
      pending = (pending << take) | ((code >>> left) & ((1 << take) - 1))
      count += take
      while (count >= 8) {
        count -= 8
        target[position++] = pending >>> count
      }
      pending &= (1 << count) - 1
    }
  }
  if (count > 0) target[position++] = (pending << (8 - count)) | (0xff >>> count)
  return position
}
