/** A listed node as its selector keeps it. Balancers, filters and gates see it as a `Candidate`. */
import type { Candidate } from "./Candidate.ts"
import * as Node from "./Node.ts"

/** `pending`: a connection is being made, or none was needed so far; calls wait for it rather than go to the next tier. */
export type Health = "up" | "pending" | "down"

export class Member<out T> implements Candidate {
  node: Node.Node
  /** What its owner keeps of it: its connections. */
  readonly value: T
  readonly state: unknown
  weight: number
  share = 1
  inFlight = 0
  health: Health = "pending"
  /** Calls go to it. */
  isOpen = false
  /** It has not been up yet. */
  isNew = true
  /** Since when it warms up, in milliseconds since the epoch; infinite once it is warm. */
  warmingSince = Number.POSITIVE_INFINITY
  /** What outlier ejection keeps. */
  readonly record: Record
  private base: number

  constructor(node: Node.Node, value: T, state: unknown, record: Record) {
    this.node = node
    this.value = value
    this.state = state
    this.record = record
    this.base = this.weight = Node.weightOf(node)
  }

  /** Its registry says something else of it. */
  relist(node: Node.Node): void {
    this.node = node
    this.base = Node.weightOf(node)
    this.weight = this.base * this.share
  }

  warm(share: number): void {
    this.share = share
    this.weight = this.base * share
  }
}

/** Calls of a node since the last look at them, and how often it was taken out. */
export class Record {
  successes = 0
  failures = 0
  /** Milliseconds since the epoch; undefined when it takes calls. */
  ejectedAt: number | undefined = undefined
  multiplier = 0

  get isEjected(): boolean {
    return this.ejectedAt !== undefined
  }
}
