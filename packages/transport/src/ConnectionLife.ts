/**
 * How long the connections of a server live: pings to clients that are silent, a pace for the pings of clients, an end to idle and to old connections.
 * All of it is as gRPC's servers have it (proposals A8 and A9) where nothing else is said.
 */
import type { Options as Http2Options } from "@effect-kratos/http2/Limits"
import * as Duration from "effect/Duration"
import type { Duplex } from "node:stream"
import type { DeadlineTimers, Timer } from "./DeadlineTimers.ts"

export interface KeepAlive {
  /** Silence after which a client is asked by a ping whether it is still there. Default 5 minutes; `Duration.infinity` asks nobody. */
  readonly interval?: Duration.Input | undefined
  /** How long it has to answer before its connection is closed. Default 20 seconds. */
  readonly timeout?: Duration.Input | undefined
  /**
   * What a client has to leave between two pings of its own; the third that comes too early ends the connection with `too_many_pings`. Pings are free
   * when replies went out in between. Default 5 minutes; 0 leaves them alone.
   */
  readonly minInterval?: Duration.Input | undefined
  /** Whether clients may ping at that pace without a call in flight; otherwise they have to leave two hours. Default false. */
  readonly permitWithoutStream?: boolean | undefined
}

export interface Options {
  readonly keepAlive?: KeepAlive | undefined
  /** Time without a call after which a connection is shut down. Default: none for HTTP/2; 65 seconds for HTTP/1.1, which it can only shorten. */
  readonly maxConnectionIdle?: Duration.Input | undefined
  /** Age, give or take a tenth, at which a connection is shut down, so that clients spread anew over the servers. Default: none. */
  readonly maxConnectionAge?: Duration.Input | undefined
  /** How long calls may go on after that. Default: to their end. */
  readonly maxConnectionAgeGrace?: Duration.Input | undefined
}

/** The same in milliseconds; 0 stands for never. */
export interface Life {
  readonly maxIdle: number
  readonly maxAge: number
  readonly grace: number
  readonly http2: Http2Options
}

export const resolve = (options: Options): Life => {
  const { interval = "5 minutes", minInterval = "5 minutes", permitWithoutStream = false, timeout = "20 seconds" } = options.keepAlive ?? {}
  const maxIdle = millis(options.maxConnectionIdle ?? Duration.infinity)
  return {
    maxIdle,
    maxAge: millis(options.maxConnectionAge ?? Duration.infinity),
    grace: millis(options.maxConnectionAgeGrace ?? Duration.infinity),
    http2: {
      keepAliveInterval: millis(interval),
      keepAliveTimeout: millis(timeout),
      keepAliveWithoutStreams: true,
      minPingInterval: millis(minInterval),
      pingsWithoutStreams: permitWithoutStream,
      maxIdle
    }
  }
}

/** Milliseconds; an infinite time is 0. */
export const millis = (input: Duration.Input): number => {
  const duration = Duration.fromInputUnsafe(input)
  return Duration.isFinite(duration) ? Duration.toMillis(duration) : 0
}

/** What grows old. */
export interface Aging {
  /** Takes nothing new and ends with what is in flight. */
  readonly shutdown: (debug: string) => void
  /** Ends now. */
  readonly close: (code: number, debug: string) => void
}

/** Lets a connection grow old. Two timers in its whole life, whatever it does. */
export const age = (
  { grace, maxAge }: Life,
  duplex: Duplex,
  aging: Aging,
  timers: DeadlineTimers,
  random: { readonly nextDoubleUnsafe: () => number }
): void => {
  if (maxAge === 0) return
  const set = (after: number, task: () => void): Timer => timers.add(timers.now() + after, task)
  // so that connections that were made together do not all come back together
  let timer = set(maxAge * (0.9 + 0.2 * random.nextDoubleUnsafe()), () => {
    aging.shutdown("max_age")
    if (grace > 0) timer = set(grace, () => aging.close(0, "max_age"))
  })
  duplex.once("close", () => timers.remove(timer))
}
