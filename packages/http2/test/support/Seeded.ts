/** A small generator of random numbers from a seed (mulberry32), so that a failing case can be run again. */
export const make = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (bound: number): number => Math.floor(next() * bound)
  return {
    below,
    pick: <A>(items: ReadonlyArray<A>): A => items[below(items.length)]!,
    text: (most: number, alphabet: string): string =>
      Array.from({ length: below(most + 1) }, () => alphabet[below(alphabet.length)]!).join("")
  }
}
