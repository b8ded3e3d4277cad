/**
 * So many nodes of a large fleet, the same for a client as long as they are listed, and spread evenly over clients, chosen as Kratos chooses them. Without it
 * every client keeps a connection to every node.
 */
import * as Subset from "@effect-kratos/aegis/Subset"
import type { Node } from "./Node.ts"

/** Nodes of a service that a client uses unless told otherwise, as in Kratos. */
export const defaultSize = 25

/** At most `size` of `nodes`, in their order; all of them when they are not more. `key` is the client's own, and stays the same for its life. */
export const select = <A extends { readonly node: Node }>(key: string, nodes: ReadonlyArray<A>, size: number): ReadonlyArray<A> => {
  if (nodes.length <= size || size <= 0) return nodes
  const chosen = new Set(Subset.select(key, nodes, size, ({ node }) => `${node.service}-${node.id}`))
  // equal subsets are equal lists
  return nodes.filter((one) => chosen.has(one))
}
