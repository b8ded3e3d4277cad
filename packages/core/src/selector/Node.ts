/** An endpoint of a service as a balancer sees it: where it is, and what its registry says of it. */
import type { ServiceInstance } from "../registry/ServiceInstance.ts"

export interface Node {
  /** `host:port`, or the path of a Unix socket: what a node is known by. Two nodes of a list never share it. */
  readonly address: string
  /** Of the instance; the address for nodes that no registry lists. */
  readonly id: string
  /** The service's name; empty for nodes that no registry lists. */
  readonly service: string
  readonly version: string
  readonly metadata: Readonly<Record<string, string>>
}

/** Creates a node; what is left out is empty. */
export const make = (address: string, props: Partial<Node> = {}): Node => ({
  address,
  id: props.id ?? address,
  service: props.service ?? "",
  version: props.version ?? "",
  metadata: props.metadata ?? {}
})

/** The node at one of the addresses of an instance. */
export const ofInstance = (address: string, { id, metadata, name, version }: ServiceInstance): Node => ({
  address,
  id,
  service: name,
  version,
  metadata
})

/** The weight of nodes that say none, as in Kratos. */
export const defaultWeight = 100

/** Weights beyond this are cut: a node must not be able to ask for all traffic of a fleet by accident. */
export const maxWeight = 1_000_000

/** What the metadata `weight` says, a decimal integer as in Kratos; below zero counts as zero, 100 when it is missing or is no such number. */
export const weightOf = ({ metadata }: Node): number => {
  const text = Object.hasOwn(metadata, "weight") ? metadata["weight"]! : ""
  if (!/^[+-]?\d{1,19}$/.test(text)) return defaultWeight
  return Math.min(maxWeight, Math.max(0, Number(text)))
}
