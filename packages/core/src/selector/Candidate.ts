/** A node that may take a call, with what is known of it. It stays the same object as long as its address is listed. */
import type { Node } from "./Node.ts"

/** `S` is what the balancer keeps of each node. */
export interface Candidate<out S = unknown> {
  /** As listed last: metadata may change while a node stays. */
  readonly node: Node
  /** The node's weight, less what slow start takes off; at least 0. */
  readonly weight: number
  /** What slow start leaves of the weight, in (0, 1]; 1 once the node is warm. */
  readonly share: number
  /** Calls that it has at present, from this client. */
  readonly inFlight: number
  /** Made by the balancer; survives that the node is unlisted for a while. */
  readonly state: S
}
