/**
 * Which nodes a call may go to, in tiers: those of the first tier are taken as long as one of them can be reached, then those of the next. When no node
 * is in any tier the call fails with 503 `NODE_NOT_FOUND`. A filter of one tier is strict, as Kratos' are.
 */
import type { CallShape } from "../Call.ts"
import type { Candidate } from "./Candidate.ts"
import type { Node } from "./Node.ts"

export interface Filter {
  /**
   * The tiers of `candidates` for a call, best first; empty ones are passed over. Filters of a selector apply to each other's tiers. The same array must give
   * the same arrays again where that is possible, since balancers keep what they have computed of one.
   */
  readonly tiers: <C extends Candidate>(candidates: ReadonlyArray<C>, call: CallShape) => ReadonlyArray<ReadonlyArray<C>>
}

/** Values of a call that are remembered for each list of nodes: peers of a gateway may choose them. */
const REMEMBERED = 64

/**
 * A filter by one text of the call, such as a header: `rank` says in which tier a node is for it, from 0, or undefined for none. Results are kept for each
 * list and text.
 */
export const make = (key: (call: CallShape) => string, rank: (node: Node, key: string) => number | undefined): Filter => {
  const known = new WeakMap<object, Map<string, ReadonlyArray<ReadonlyArray<Candidate>>>>()
  return {
    tiers: <C extends Candidate>(candidates: ReadonlyArray<C>, call: CallShape) => {
      const text = key(call)
      let byKey = known.get(candidates)
      if (byKey === undefined) known.set(candidates, (byKey = new Map()))
      const found = byKey.get(text)
      // what was made of an array of C is made of its elements
      if (found !== undefined) return found as ReadonlyArray<ReadonlyArray<C>>
      const tiers = ranked(candidates, (node) => rank(node, text))
      if (byKey.size >= REMEMBERED) byKey.clear()
      byKey.set(text, tiers)
      return tiers
    }
  }
}

const ranked = <C extends Candidate>(
  candidates: ReadonlyArray<C>,
  rank: (node: Node) => number | undefined
): ReadonlyArray<ReadonlyArray<C>> => {
  const byRank = new Map<number, Array<C>>()
  for (const candidate of candidates) {
    const at = rank(candidate.node)
    if (at === undefined) continue
    const tier = byRank.get(at)
    if (tier === undefined) byRank.set(at, [candidate])
    else tier.push(candidate)
  }
  const tiers = [...byRank].sort(([a], [b]) => a - b).map(([, tier]) => tier)
  // all of them: the list itself, so that a balancer sees no other than without the filter
  return tiers.length === 1 && tiers[0]!.length === candidates.length ? [candidates] : tiers
}

/** Nodes for which `test` holds, and no others. */
export const where = (test: (node: Node, call: CallShape) => boolean): Filter => ({
  tiers: (candidates, call) => [candidates.filter(({ node }) => test(node, call))]
})

/** Nodes of one of these versions: those of the first, else those of the second, and so on. One alone is Kratos' `filter.Version`. */
export const version = (...versions: ReadonlyArray<string>): Filter =>
  make(
    () => "",
    (node) => rankOf(versions.indexOf(node.version))
  )

const rankOf = (index: number): number | undefined => (index < 0 ? undefined : index)

export interface ColourOptions {
  /** The request metadata that names the colour. Default `x-md-global-colour`, which travels through a chain of services. */
  readonly header?: string | undefined
  /** The instance metadata that names it. Default `colour`. */
  readonly metadata?: string | undefined
}

/**
 * Traffic lanes: a call that names a colour goes to nodes of that colour, else to those without one; a call without a colour goes to nodes without one.
 * Nodes of another colour get nothing, so that a trial version sees no traffic but its own.
 */
export const colour = ({ header = "x-md-global-colour", metadata = "colour" }: ColourOptions = {}): Filter => {
  const name = header.toLowerCase()
  return make(
    (call) => call.request.get(name)?.[0] ?? "",
    (node, wanted) => {
      const its = valueOf(node, metadata)
      return its === wanted ? 0 : its === "" ? 1 : undefined
    }
  )
}

export interface ZoneOptions {
  /** Where the client is. */
  readonly zone: string
  /** Zones to go to when there is no node in it, best first. After them all others are taken. */
  readonly near?: ReadonlyArray<string> | undefined
  /** The instance metadata that names the zone. Default `zone`. */
  readonly metadata?: string | undefined
}

/** Nodes of the client's own zone, else of the near ones in their order, else any. */
export const zone = ({ metadata = "zone", near = [], zone }: ZoneOptions): Filter =>
  make(
    () => "",
    (node) => {
      const at = [zone, ...near].indexOf(valueOf(node, metadata))
      return at < 0 ? near.length + 1 : at
    }
  )

const valueOf = ({ metadata }: Node, key: string): string => (Object.hasOwn(metadata, key) ? metadata[key]! : "")
