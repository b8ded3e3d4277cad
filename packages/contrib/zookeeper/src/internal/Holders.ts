/** Which registrations of this process want a node, the latest last: that one has it. */

export interface Holder {
  /** It may be its turn. */
  readonly wake: () => void
}

export interface Holders {
  /** Puts it last. */
  readonly claim: (path: string, holder: Holder) => void
  readonly top: (path: string) => Holder | undefined
  /** True if it was the last one. */
  readonly drop: (path: string, holder: Holder) => boolean
}

export const make = (): Holders => {
  const held = new Map<string, ReadonlyArray<Holder>>()
  const without = (path: string, holder: Holder): ReadonlyArray<Holder> => (held.get(path) ?? []).filter((other) => other !== holder)
  return {
    claim: (path, holder) => void held.set(path, [...without(path, holder), holder]),
    top: (path) => held.get(path)?.at(-1),
    drop: (path, holder) => {
      const last = held.get(path)?.at(-1) === holder
      const rest = without(path, holder)
      if (rest.length === 0) held.delete(path)
      else held.set(path, rest)
      return last
    }
  }
}
