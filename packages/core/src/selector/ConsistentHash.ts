/**
 * The same node for the same key, and for most keys still when nodes come and go: a ring of points, 160 for a node of usual weight (Karger et al.,
 * "Consistent Hashing and Random Trees"). With `loadFactor` no node gets more than so many times the mean of the calls in flight; its keys go on to the next
 * node of the ring meanwhile (Mirrokni et al., "Consistent Hashing with Bounded Loads"). Calls without a key go anywhere. Slow start does not apply.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { CallShape } from "../Call.ts"
import * as Balancer from "./Balancer.ts"
import type { Candidate } from "./Candidate.ts"
import { hash } from "./Hash.ts"
import * as Node from "./Node.ts"

export interface Options {
  /** What keeps calls together: a key of the request's metadata, or a function of the call. */
  readonly key: string | ((call: CallShape) => string | undefined)
  /** How far above the mean of the calls in flight a node may be; at least 1. Default: without bound. Usual is 1.25. */
  readonly loadFactor?: number | undefined
  /** Points of a node with weight 100; others have theirs in proportion. Default 160, at most 4096 for a node. */
  readonly points?: number | undefined
}

const MOST_POINTS = 4096

export const make = ({ key, loadFactor, points = 160 }: Options): Balancer.Make => {
  const name = typeof key === "string" ? key.toLowerCase() : ""
  const keyOf = typeof key === "string" ? (call: CallShape) => call.request.get(name)?.[0] : key
  return Effect.map(Random.Random, (random) => {
    let candidates: ReadonlyArray<Candidate<Points>> | undefined
    let ring: Ring = { hashes: new Uint32Array(0), owners: new Uint32Array(0) }
    return Balancer.make<Points>({
      state: () => new Points(points),
      pick: (all, call) => {
        const text = keyOf(call)
        if (text === undefined || all.length === 1) return all[Math.floor(random.nextDoubleUnsafe() * all.length)]!
        if (candidates !== all) {
          ring = build(all)
          candidates = all
        }
        if (ring.hashes.length === 0) return all[hash(text) % all.length]!
        const at = find(ring.hashes, hash(text))
        return loadFactor === undefined ? all[ring.owners[at]!]! : bounded(all, ring, at, Math.max(1, loadFactor))
      }
    })
  })
}

/** The points of a node, made again when its weight changes. */
class Points {
  private readonly standard: number
  private weight = -1
  private made: ReadonlyArray<number> = []

  constructor(standard: number) {
    this.standard = standard
  }

  of(node: Node.Node): ReadonlyArray<number> {
    const weight = Node.weightOf(node)
    if (weight !== this.weight) {
      const count = weight === 0 ? 0 : Math.min(MOST_POINTS, Math.max(1, Math.round((this.standard * weight) / Node.defaultWeight)))
      this.made = Array.from({ length: count }, (_, i) => hash(`${node.address}#${i}`))
      this.weight = weight
    }
    return this.made
  }
}

interface Ring {
  /** In ascending order. */
  readonly hashes: Uint32Array
  /** The index of the candidate to which the hash at the same place belongs. */
  readonly owners: Uint32Array
}

const build = (candidates: ReadonlyArray<Candidate<Points>>): Ring => {
  // hash and owner in one number, so that a plain numeric sort orders both
  const both: Array<number> = []
  candidates.forEach(({ node, state }, owner) => {
    for (const point of state.of(node)) both.push(point * OWNERS + owner)
  })
  const sorted = Float64Array.from(both).sort()
  return { hashes: Uint32Array.from(sorted, (one) => Math.floor(one / OWNERS)), owners: Uint32Array.from(sorted, (one) => one % OWNERS) }
}

/** More nodes than this a number of 53 bits cannot tell apart behind 32 bits of hash. */
const OWNERS = 2 ** 21

/** Where the first point at or behind `value` is; the ring ends where it begins. */
const find = (hashes: Uint32Array, value: number): number => {
  let low = 0
  let high = hashes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (hashes[middle]! < value) low = middle + 1
    else high = middle
  }
  return low === hashes.length ? 0 : low
}

const bounded = (candidates: ReadonlyArray<Candidate<Points>>, { owners }: Ring, at: number, loadFactor: number): Candidate<Points> => {
  let inFlight = 1
  for (let i = 0; i < candidates.length; i++) inFlight += candidates[i]!.inFlight
  const most = Math.ceil((loadFactor * inFlight) / candidates.length)
  for (let i = 0; i < owners.length; i++) {
    const candidate = candidates[owners[at + i < owners.length ? at + i : at + i - owners.length]!]!
    if (candidate.inFlight < most) return candidate
  }
  // nodes of weight 0 have no points; the others are all full to the bound
  return candidates[owners[at]!]!
}
