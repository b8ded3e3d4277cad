/** One direction of a proxied connection: bytes of one end, with the faults of the moment, to the other. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type { Duplex } from "node:stream"
import type { Way } from "./Way.ts"

/** Bytes that are under way in one direction; more are left to the sender's TCP. */
const MAX_BYTES = 1_048_576
/** Pieces a second that a limited bandwidth is cut into. */
const PIECES = 50

interface Arrived {
  readonly bytes: Buffer
  /** When it came. */
  readonly at: number
}

/** What comes from an end of a connection, listened to from the first byte on. */
export interface Source {
  readonly queue: Queue.Queue<Arrived | "end">
  readonly duplex: Duplex
  waiting: number
}

export const listen = (duplex: Duplex, now: () => number): Effect.Effect<Source> =>
  Effect.map(Queue.unbounded<Arrived | "end">(), (queue) => {
    const source: Source = { queue, duplex, waiting: 0 }
    duplex.on("data", (bytes: Buffer) => {
      source.waiting += bytes.length
      if (source.waiting >= MAX_BYTES) duplex.pause()
      Queue.offerUnsafe(queue, { bytes, at: now() })
    })
    duplex.on("end", () => Queue.offerUnsafe(queue, "end"))
    return source
  })

/** Ends after it has passed the source's end on. `changed` opens and closes again whenever the faults change. */
export const relay = Effect.fnUntraced(function* (
  source: Source,
  to: Duplex,
  way: () => Way,
  changed: Latch.Latch,
  count: (bytes: number) => void
) {
  const clear = Effect.suspend(() => Effect.repeat(changed.await, { while: () => way().held }))
  const pass = Effect.suspend(() => (way().held ? clear : Effect.void))
  while (true) {
    const arrived = yield* Queue.take(source.queue)
    if (arrived === "end") {
      const { closeDelay, delay } = way()
      if (delay + closeDelay > 0) yield* Effect.sleep(delay + closeDelay)
      yield* pass
      to.end()
      return
    }
    const { delay, jitter } = way()
    if (delay + jitter > 0) {
      const due = arrived.at + delay + jitter * (2 * (yield* Random.next) - 1)
      const left = due - (yield* Clock.currentTimeMillis)
      if (left > 0) yield* Effect.sleep(left)
    }
    const { bytes } = arrived
    for (let sent = 0; sent < bytes.length;) {
      yield* pass
      const { bytesPerSecond, sliceDelay, sliceSize } = way()
      const size = Math.min(bytes.length - sent, sliceSize, Math.max(1, Math.floor(bytesPerSecond / PIECES)))
      const pause = (size * 1000) / bytesPerSecond + (sent === 0 ? 0 : sliceDelay)
      if (pause > 0) yield* Effect.sleep(pause)
      if (!to.write(sent === 0 && size === bytes.length ? bytes : bytes.subarray(sent, sent + size))) yield* drained(to)
      sent += size
      count(size)
    }
    source.waiting -= bytes.length
    if (source.waiting < MAX_BYTES && source.duplex.isPaused()) source.duplex.resume()
  }
})

/** An end that closes instead of draining takes the connection with it, and this fiber. */
const drained = (to: Duplex): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const done = () => resume(Effect.void)
    to.once("drain", done)
    return Effect.sync(() => void to.removeListener("drain", done))
  })
