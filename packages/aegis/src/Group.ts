/**
 * One of a kind for each key, made when it is first asked for: a breaker an operation, a budget a service. Bounded, because a key may come
 * from a peer: the one used least recently is forgotten, and made anew when it is asked for again.
 */
import * as LruMap from "./LruMap.ts"

export interface Options {
  /** How many are kept. 1024. */
  readonly capacity?: number | undefined
}

export interface Group<A> {
  readonly get: (key: string) => A
  /** Forgets the one of `key`. */
  readonly reset: (key: string) => void
  /** Forgets all. */
  readonly clear: () => void
  readonly size: () => number
}

export const make = <A>(create: (key: string) => A, options: Options = {}): Group<A> => {
  const { capacity = 1024 } = options
  // a box, since A may well be undefined
  const members = LruMap.make<string, { readonly value: A }>(capacity)
  return {
    get: (key) => {
      const known = members.get(key)
      if (known !== undefined) return known.value
      const value = create(key)
      members.set(key, { value })
      return value
    },
    reset: (key) => void members.delete(key),
    clear: () => members.clear(),
    size: () => members.size()
  }
}
