/** All faults that concern one direction of a proxy's connections, as one. */
import type { Fault } from "../Fault.ts"

export interface Way {
  readonly delay: number
  readonly jitter: number
  readonly bytesPerSecond: number
  readonly sliceSize: number
  readonly sliceDelay: number
  readonly closeDelay: number
  readonly held: boolean
}

export const clear: Way = {
  delay: 0,
  jitter: 0,
  bytesPerSecond: Infinity,
  sliceSize: Infinity,
  sliceDelay: 0,
  closeDelay: 0,
  held: false
}

export const of = (faults: Iterable<Fault>, direction: "upstream" | "downstream"): Way => {
  let way = clear
  for (const fault of faults) {
    if (!("direction" in fault) || fault.direction === "both" || fault.direction === direction) way = add(way, fault)
  }
  return way
}

const add = (way: Way, fault: Fault): Way => {
  switch (fault._tag) {
    case "Latency":
      return { ...way, delay: way.delay + fault.delay, jitter: way.jitter + fault.jitter }
    case "Bandwidth":
      return { ...way, bytesPerSecond: Math.min(way.bytesPerSecond, fault.bytesPerSecond) }
    case "Slicer":
      return { ...way, sliceSize: Math.min(way.sliceSize, fault.size), sliceDelay: way.sliceDelay + fault.delay }
    case "SlowClose":
      return { ...way, closeDelay: way.closeDelay + fault.delay }
    case "Blackhole":
      return { ...way, held: true }
    default:
      return way
  }
}
