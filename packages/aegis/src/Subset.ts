/**
 * Deterministic subsetting: which few of many servers a client connects to, so that a fleet of thousands on both sides does not hold
 * a connection for each pair. The same key and members give the same subset wherever it is computed; when a server comes or goes, the others
 * of a subset stay; over many keys each server is in about as many subsets as any other.
 *
 * Consistent hashing as in Kratos, which chooses the same: 160 points for each server on a ring of FNV-1a hashes, `0name` to `159name`; from
 * the first point behind the hash of the key on, the first `size` distinct servers. Servers with equal names count as one.
 */
import { fnv1a } from "./internal/hash.ts"

export interface Ring<M> {
  /** `size` members for `key`, in the order of the ring; all of them when they are no more, or when `size` is not positive. */
  readonly select: (key: string, size: number) => ReadonlyArray<M>
}

/** Points of a member on the ring. */
const points = 160

/** Makes the ring once, for many keys. `name` tells members apart and places them. */
export const make = <M>(members: ReadonlyArray<M>, name: (member: M) => string): Ring<M> => {
  // the first of those with equal names
  const distinct = new Map(members.toReversed().map((member) => [name(member), member]))
  const owners = new Map<number, M>()
  // of members whose points coincide, the last by name has it, so that the order of the list does not matter
  for (const [text, member] of [...distinct].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (let i = 0; i < points; i++) owners.set(fnv1a(text, fnv1a(`${i}`)) >>> 0, member)
  }
  const ring = Uint32Array.from(owners.keys()).toSorted()
  return {
    select: (key, size) => {
      if (size <= 0 || members.length <= size) return members
      const chosen = new Set<M>()
      const start = after(ring, fnv1a(key) >>> 0)
      for (let i = 0; i < ring.length && chosen.size < size; i++) {
        // every hash on the ring has an owner
        chosen.add(owners.get(ring[(start + i) % ring.length]!)!)
      }
      return [...chosen]
    }
  }
}

/** The subset for one key. */
export const select = <M>(key: string, members: ReadonlyArray<M>, size: number, name: (member: M) => string): ReadonlyArray<M> =>
  size <= 0 || members.length <= size ? members : make(members, name).select(key, size)

/** The place of the first hash greater than `hash`; the first of all when there is none. */
const after = (ring: Uint32Array, hash: number): number => {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ring[middle]! > hash) high = middle
    else low = middle + 1
  }
  return low === ring.length ? 0 : low
}
