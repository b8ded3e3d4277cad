/** The way of a client's calls over HTTP/1.1: the nodes and connections are those of REST. */
import * as Effect from "effect/Effect"
import type { Field } from "../ClientProtocol.ts"
import type { Carrier, ClientRoute, HeadForm } from "../ClientRoute.ts"
import type { Node, Nodes } from "../rest/Nodes.ts"
import { Http1Call } from "./Http1Call.ts"

type Head = ReadonlyArray<Field>

export const headForm: HeadForm<Head> = {
  make: (fields) => fields,
  extend: (head, fields) => [...head, ...fields]
}

export const make = (nodes: Nodes): ClientRoute<Head> => {
  const carriers = new WeakMap<Node, NodeCarrier>()
  const carrier = (order: ReadonlyArray<Node>): Carrier<Head> => {
    const node = order[0]! // there is at least one
    let found = carriers.get(node)
    if (found === undefined) carriers.set(node, (found = new NodeCarrier(node)))
    found.order = order
    return found
  }
  const { target, timers } = nodes
  return {
    target,
    timers,
    ready: () => undefined,
    connection: ({ call, deadline, expired }) => {
      const picked = Effect.map(nodes.pick(call), carrier)
      return deadline === undefined
        ? picked
        : Effect.timeoutOrElse(picked, { duration: Math.max(0, deadline - timers.now()), orElse: () => Effect.fail(expired()) })
    }
  }
}

class NodeCarrier implements Carrier<Head> {
  readonly address: string
  readonly authority: string
  readonly scheme = "http"
  readonly begin: Node["begin"]
  /** This node, and those that take its place when it cannot be reached. */
  order: ReadonlyArray<Node>

  constructor(node: Node) {
    this.address = node.address
    this.authority = node.authority
    this.begin = node.begin
    this.order = [node]
  }

  usable(): boolean {
    return true
  }

  readonly request: Carrier<Head>["request"] = (head, exchange, body, endStream) =>
    new Http1Call(this.order, head, exchange, body, endStream)
}
