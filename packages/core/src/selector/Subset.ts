/**
 * So many nodes of a large fleet, the same for a client as long as they are listed, and spread evenly over clients: each node has its points on a ring, and
 * a client takes those that follow its own key (Kratos' subset). Without it every client keeps a connection to every node.
 */
import type { Node } from "./Node.ts"

/** Nodes of a service that a client uses unless told otherwise, as in Kratos. */
export const defaultSize = 25

const POINTS = 160

/** At most `size` of `nodes`; all of them when they are not more. `key` is the client's own, and stays the same for its life. */
export const select = <A extends { readonly node: Node }>(key: string, nodes: ReadonlyArray<A>, size: number): ReadonlyArray<A> => {
  if (nodes.length <= size || size <= 0) return nodes
  const ring = new Map<number, A>()
  for (const one of nodes) {
    const { id, service } = one.node
    for (let i = 0; i < POINTS; i++) ring.set(fnv1a(`${i}${service}-${id}`), one)
  }
  const points = [...ring.keys()].sort((a, b) => a - b)
  const from = points.findIndex((point) => point > fnv1a(key))
  const chosen = new Set<A>()
  for (let i = 0; i < points.length && chosen.size < size; i++) chosen.add(ring.get(points[(Math.max(0, from) + i) % points.length]!)!)
  // in the order of the list, so that equal subsets are equal lists
  return nodes.filter((one) => chosen.has(one))
}

const encoder = new TextEncoder()

const fnv1a = (text: string): number => {
  let hash = 0x811c9dc5
  for (const byte of encoder.encode(text)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
