/**
 * What can be wrong with a network, as data. Several faults hold at the same time: delays add up, the lowest bandwidth and the smallest slice count.
 *
 * The kinds are those of Toxiproxy. One differs: bytes that a `blackhole` holds are delivered when it ends, as TCP delivers them after a partition that
 * was shorter than its patience; a byte stream that loses bytes in its midst does not exist.
 */
import * as Duration from "effect/Duration"

/** Which bytes: those that the client sends (`upstream`), those that it gets (`downstream`), or both. */
export type Direction = "both" | "upstream" | "downstream"

/** Durations in milliseconds. */
export type Fault =
  | { readonly _tag: "Latency"; readonly delay: number; readonly jitter: number; readonly direction: Direction }
  | { readonly _tag: "Down" }
  | { readonly _tag: "Reset"; readonly after: number }
  | { readonly _tag: "SlowClose"; readonly delay: number }
  | { readonly _tag: "Bandwidth"; readonly bytesPerSecond: number; readonly direction: Direction }
  | { readonly _tag: "Slicer"; readonly size: number; readonly delay: number; readonly direction: Direction }
  | { readonly _tag: "Blackhole"; readonly direction: Direction }

interface Directed {
  /** Default: both. */
  readonly direction?: Direction | undefined
}

/** Bytes arrive `delay` later, give or take up to `jitter`, in their order. That is each way: a round trip takes twice as long. */
export const latency = (options: Directed & { readonly delay: Duration.Input; readonly jitter?: Duration.Input | undefined }): Fault => ({
  _tag: "Latency",
  delay: Duration.toMillis(options.delay),
  jitter: Duration.toMillis(options.jitter ?? 0),
  direction: options.direction ?? "both"
})

/** Nobody listens: new connections are refused, those that are there are reset. */
export const down: Fault = { _tag: "Down" }

/** Each connection is reset (RST), at once or `after` it was made; those that are there count from now. */
export const reset = (options: { readonly after?: Duration.Input | undefined } = {}): Fault => ({
  _tag: "Reset",
  after: Duration.toMillis(options.after ?? 0)
})

/** The end of a direction (FIN) arrives `delay` later than its last byte. */
export const slowClose = (options: { readonly delay: Duration.Input }): Fault => ({
  _tag: "SlowClose",
  delay: Duration.toMillis(options.delay)
})

/** Each connection carries so many bytes a second, each way; at least 1. */
export const bandwidth = (options: Directed & { readonly bytesPerSecond: number }): Fault => ({
  _tag: "Bandwidth",
  bytesPerSecond: Math.max(1, options.bytesPerSecond),
  direction: options.direction ?? "both"
})

/** Bytes arrive in pieces of at most `size`, `delay` apart (default 0), so that every border of a message is met. */
export const slicer = (options: Directed & { readonly size: number; readonly delay?: Duration.Input | undefined }): Fault => ({
  _tag: "Slicer",
  size: Math.max(1, Math.floor(options.size)),
  delay: Duration.toMillis(options.delay ?? 0),
  direction: options.direction ?? "both"
})

/** Connections stay open, new ones are accepted, and no byte arrives until the fault ends: a partition, a stopped process, a cable that was cut. */
export const blackhole = (options: Directed = {}): Fault => ({ _tag: "Blackhole", direction: options.direction ?? "both" })
