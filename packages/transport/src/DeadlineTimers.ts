/**
 * Deadlines of many calls on few timers: calls whose deadlines fall into the same slot of ten milliseconds share one sleep. A call that
 * ends in time costs one insertion and one deletion; a timer of its own would cost five times that.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Width of a slot, in milliseconds: how late a deadline may be noticed, when it is at least `LONG` away; nearer ones are noticed in their millisecond. */
const SLOT = 10
const LONG = 1000
/** An empty slot that is due within this time, in milliseconds, is left to expire: the next call will probably use it. */
const NEAR = 60_000
/** Longer deadlines than this, in milliseconds, are looked at again when it has passed (a day; timers of the platform end at 24 days). */
const FAR = 86_400_000

export interface Timer {
  readonly slot: Slot
  readonly expire: () => void
}

/** A class: once a hundred calls are in flight, V8 may take the site of a literal for one of objects that last, and each then keeps its call from being collected. */
class Entry implements Timer {
  readonly slot: Slot
  readonly expire: () => void

  constructor(slot: Slot, expire: () => void) {
    this.slot = slot
    this.expire = expire
  }
}

interface Slot {
  readonly at: number
  readonly timers: Set<Timer>
  fiber: Fiber.Fiber<void> | undefined
}

export interface DeadlineTimers {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Calls `expire` once, at most 10 ms after `deadline` (ms since the epoch), unless it is removed before. */
  readonly add: (deadline: number, expire: () => void) => Timer
  readonly remove: (timer: Timer) => void
}

/** Timers on the `Clock` of the fiber that makes them. Closing the scope drops them all. */
export const make: Effect.Effect<DeadlineTimers, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const slots = new Map<number, Slot>()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const slot of slots.values()) slot.fiber?.interruptUnsafe()
      slots.clear()
    })
  )

  const expire = (slot: Slot): Effect.Effect<void> =>
    Effect.suspend(() => {
      const left = slot.at - clock.currentTimeMillisUnsafe()
      if (left > 0) return wait(slot, left)
      slots.delete(slot.at)
      for (const timer of slot.timers) timer.expire()
      return Effect.void
    })
  const wait = (slot: Slot, left: number): Effect.Effect<void> => Effect.andThen(Effect.sleep(Math.min(left, FAR)), expire(slot))

  const now = () => clock.currentTimeMillisUnsafe()
  return {
    now,
    add: (deadline, expire) => {
      const at = deadline - now() < LONG ? Math.ceil(deadline) : Math.ceil(deadline / SLOT) * SLOT
      let slot = slots.get(at)
      if (slot === undefined) {
        slot = { at, timers: new Set(), fiber: undefined }
        slots.set(at, slot)
        // never at once: the timer is not in its slot yet, and its owner is not ready to hear of it
        slot.fiber = fork(wait(slot, Math.max(1, at - now())))
      }
      const timer = new Entry(slot, expire)
      slot.timers.add(timer)
      return timer
    },
    remove: (timer) => {
      const { slot } = timer
      slot.timers.delete(timer)
      if (slot.timers.size === 0 && slot.at - now() > NEAR) {
        slots.delete(slot.at)
        slot.fiber?.interruptUnsafe()
      }
    }
  }
})
