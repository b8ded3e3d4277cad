import type * as Limits from "./Limits.ts"

/** What server and client connections have in common. */
export interface ConnectionOptions extends Limits.Options {
  /**
   * The connection is over: the duplex has closed. `error` says why unless the end was graceful: a `ConnectionError`, an error of the duplex, or what a
   * listener has thrown. Called once.
   */
  readonly onClose?: ((error?: Error) => void) | undefined
  /** Runs a task soon, after the current one: when frames made outside of a read leave. Default `process.nextTick`. */
  readonly schedule?: ((task: () => void) => void) | undefined
  /**
   * Whether bytes that have left the duplex's write queue are of no more use to it, so that their memory can be written again. True of `net.Socket` and
   * TLS sockets, where streams of small messages cost half; not of an in-memory pair, whose reader gets the very same bytes. Default false.
   */
  readonly recycle?: boolean | undefined
  /** Milliseconds of a steady clock, for limits and timeouts. Default `performance.now`. */
  readonly now?: (() => number) | undefined
  /**
   * Runs a task after so many milliseconds and returns what cancels it: one at most is pending for a connection. Default: timers of the platform that do
   * not keep the process alive.
   */
  readonly after?: ((milliseconds: number, task: () => void) => () => void) | undefined
}
