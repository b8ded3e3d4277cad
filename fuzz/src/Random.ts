/** Chance from a seed (mulberry32): the same seed gives the same input, on every machine. */
export interface Random {
  /** A whole number from 0 up to, without, `limit`. */
  readonly below: (limit: number) => number
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  /** Up to `most` of the pieces, one after the other. */
  readonly some: (pieces: ReadonlyArray<string>, most: number, between?: string) => string
  /** Up to `most` octets, one a UTF-16 unit. */
  readonly octets: (most: number) => string
  // What random messages of the transport's tests want to know: all that there is.
  readonly wild: boolean
  readonly narrow: boolean
  readonly tame: boolean
}

export const make = (seed: number): Random => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    below,
    pick: (items) => items[below(items.length)]!,
    some: (pieces, most, between = "") => {
      let text = ""
      for (let i = below(most + 1); i > 0; i--) text += (text === "" ? "" : between) + pieces[below(pieces.length)]!
      return text
    },
    octets: (most) => {
      let text = ""
      for (let i = below(most + 1); i > 0; i--) text += String.fromCharCode(below(256))
      return text
    },
    wild: true,
    narrow: false,
    tame: false
  }
}

/** The seed of the input number `index` of a target: neighbours have nothing in common. */
export const seedOf = (seed: number, target: string, index: number): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < target.length; i++) hash = Math.imul(hash ^ target.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ seed, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 15) ^ index, 0xc2b2ae35)
  return (hash ^ (hash >>> 13)) >>> 0
}
