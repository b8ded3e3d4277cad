/**
 * How a client makes and keeps its connections, and chooses between its nodes. The defaults follow gRPC's: its connection back-off, its idle time, and pings rarer than the five
 * minutes that servers tolerate.
 */
import type * as Selector from "@effect-kratos/core/selector/Selector"
import * as Subset from "@effect-kratos/core/selector/Subset"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type { LookupFunction } from "node:net"
import type * as Backoff from "./Backoff.ts"

export interface KeepAlive {
  /** Silence of the peer after which it is asked whether it is there; at least 10 seconds. Default 6 minutes. */
  readonly interval?: Duration.Input | undefined
  /** Time that it has to say anything. Default 20 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Asks also when no call is open; servers may take offence. Default false. */
  readonly permitWithoutStream?: boolean | undefined
}

export interface SelectorOptions extends Selector.Options {
  /** Nodes of a service from a registry that a client uses of more; false for all of them. Default 25. */
  readonly subset?: number | false | undefined
}

export interface Options {
  /** How calls choose their nodes; a function for targets that differ. Default: weighted round robin, by the weights in the instances' metadata. */
  readonly selector?: SelectorOptions | ((target: string) => SelectorOptions) | undefined
  /** Connections to one node, opened while calls wait for a free stream. Those that are not needed any more close after a minute. Default 4. */
  readonly maxConnections?: number | undefined
  /** Calls of one target that may wait for a connection or a free stream; more fail with 503, `RESOURCE_EXHAUSTED` on gRPC. Default 10 000. */
  readonly maxQueuedCalls?: number | undefined
  /** Time to connect: TCP, TLS and the server's first HTTP/2 settings. Default 20 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** Time between attempts to reach a node that could not be reached. */
  readonly backoff?: Backoff.Options | undefined
  /** Finds peers that have gone without a word. False: never asks. */
  readonly keepAlive?: KeepAlive | false | undefined
  /** A connection without a call for this long closes; the next call makes a new one. Default 30 minutes. */
  readonly idleTimeout?: Duration.Input | undefined
  /** A connection of this age, ±10 %, takes no more calls and ends with its last one: names are looked up again. Default: no such age. */
  readonly maxAge?: Duration.Input | undefined
  /** Time that open calls have when the channels close. Default 10 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** Looks host names up, at every connect. Default: `dns.lookup`, which asks the system. */
  readonly lookup?: LookupFunction | undefined
}

/** The options of all channels that are built under it. */
export const Current: Context.Reference<Options> = Context.Reference<Options>("@effect-kratos/transport/channel/ConnectionOptions", {
  defaultValue: () => ({})
})

/** Options with their defaults, durations in milliseconds. */
export interface Resolved {
  readonly maxConnections: number
  readonly maxQueuedCalls: number
  readonly connectTimeout: number
  readonly backoff: Backoff.Options
  readonly keepAlive: { readonly interval: number; readonly timeout: number; readonly permitWithoutStream: boolean } | undefined
  readonly idleTimeout: number
  /** For connections beyond the first of a node. */
  readonly surplusTimeout: number
  readonly maxAge: number
  readonly drainTimeout: number
  readonly lookup: LookupFunction | undefined
}

/** How calls of a target choose their nodes. */
export const selectorOf = ({ selector = {} }: Options, target: string): SelectorOptions =>
  typeof selector === "function" ? selector(target) : selector

/** Nodes that a client uses of a service. */
export const subsetOf = (options: Options, target: string): number => {
  const { subset = Subset.defaultSize } = selectorOf(options, target)
  return subset === false ? Number.POSITIVE_INFINITY : Math.max(1, subset)
}

/** gRPC's least interval: a mistake of configuration shall not become a flood. */
const LEAST_INTERVAL = 10_000

export const resolve = (options: Options): Resolved => {
  const { backoff = {}, drainTimeout = "10 seconds", lookup, maxConnections = 4, maxQueuedCalls = 10_000 } = options
  const { connectTimeout = "20 seconds", idleTimeout = "30 minutes", keepAlive = {}, maxAge = Duration.infinity } = options
  const idle = Duration.toMillis(idleTimeout)
  return {
    maxConnections: Math.max(1, maxConnections),
    maxQueuedCalls: Math.max(0, maxQueuedCalls),
    connectTimeout: Duration.toMillis(connectTimeout),
    backoff,
    keepAlive: keepAlive === false ? undefined : resolveKeepAlive(keepAlive),
    idleTimeout: idle,
    surplusTimeout: Math.min(idle, 60_000),
    maxAge: Duration.toMillis(maxAge),
    drainTimeout: Duration.toMillis(drainTimeout),
    lookup
  }
}

const resolveKeepAlive = ({ interval = "6 minutes", permitWithoutStream = false, timeout = "20 seconds" }: KeepAlive) => ({
  interval: Math.max(LEAST_INTERVAL, Duration.toMillis(interval)),
  timeout: Duration.toMillis(timeout),
  permitWithoutStream
})
