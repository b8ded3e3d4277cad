/**
 * A limit in time for an effect that mostly ends long before it: `Effect.timeout` races two fibers, one of which sets a timer of the platform and takes it
 * back. Here the effect runs in one fiber, which sets nothing when it ends at once, and limits that fall into the same slot share one sleep.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Limits from this on, in milliseconds, may come a slot later. */
const LONG = 1000
/** Width of a slot, in milliseconds. */
const SLOT = 10

interface Slot {
  readonly at: number
  readonly alarms: Set<() => void>
  fiber: Fiber.Fiber<void> | undefined
}

const clocks = new WeakMap<Clock.Clock, Map<number, Slot>>()

/** Calls `ring` when `at` has come, at most 10 ms later for what is a second away. Call the result to take it back. */
const set = (clock: Clock.Clock, at: number, left: number, ring: () => void): (() => void) => {
  let slots = clocks.get(clock)
  if (slots === undefined) clocks.set(clock, (slots = new Map()))
  const known = slots
  const time = left < LONG ? Math.ceil(at) : Math.ceil(at / SLOT) * SLOT
  let slot = known.get(time)
  if (slot === undefined) {
    const made: Slot = { at: time, alarms: new Set(), fiber: undefined }
    known.set(time, (slot = made))
    made.fiber = Effect.runFork(
      sleepUntil(clock, time, () => {
        known.delete(time)
        for (const ring of made.alarms) ring()
      })
    )
  }
  const { alarms, fiber } = slot
  alarms.add(ring)
  return () => {
    alarms.delete(ring)
    // a sleep that nobody waits for would keep the process from its end
    if (alarms.size > 0 || known.get(time)?.alarms !== alarms) return
    known.delete(time)
    fiber?.interruptUnsafe()
  }
}

const sleepUntil = (clock: Clock.Clock, at: number, task: () => void): Effect.Effect<void> =>
  Effect.flatMap(clock.sleep(Duration.millis(Math.max(1, at - clock.currentTimeMillisUnsafe()))), () => {
    // timers of the platform may be early by a fraction
    if (clock.currentTimeMillisUnsafe() < at) return sleepUntil(clock, at, task)
    task()
    return Effect.void
  })

/**
 * Runs `effect` with `services`. When its end has not come at `deadline` (milliseconds since the epoch) it is interrupted, and `late` takes its place once it
 * has ended.
 */
export const timeLimit = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  services: Context.Context<R>,
  deadline: number,
  late: Effect.Effect<never, E2>
): Effect.Effect<A, E | E2> =>
  Effect.callback((resume) => {
    const fiber = Effect.runForkWith(services)(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return resume(exit)
    const clock = Context.get(services, Clock.Clock)
    let isLate = false
    const takeBack = set(clock, deadline, deadline - clock.currentTimeMillisUnsafe(), () => {
      isLate = true
      fiber.interruptUnsafe()
    })
    fiber.addObserver((exit) => {
      takeBack()
      resume(isLate ? late : exit)
    })
    return Fiber.interrupt(fiber)
  })
