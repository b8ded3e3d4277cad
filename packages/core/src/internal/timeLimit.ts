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

/** The index of an alarm that has rung or was taken back. */
const GONE = -1

/** A class: V8 may take the site of a literal for one whose objects last, and each would then keep its call from being collected for a long time. */
class Alarm {
  readonly ring: () => void
  /** Where it is in its slot, or `GONE`. */
  index: number

  constructor(ring: () => void, index: number) {
    this.ring = ring
    this.index = index
  }
}

interface Slot {
  readonly at: number
  /**
   * In no order: the last one takes the place of one that goes. A `Set` would leave a table behind each time that its deletions have filled one; tables point
   * to the next, so that one which the collector takes for old keeps alive all that were put into the set after it.
   */
  readonly alarms: Array<Alarm>
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
    const made: Slot = { at: time, alarms: [], fiber: undefined }
    known.set(time, (slot = made))
    made.fiber = Effect.runFork(
      sleepUntil(clock, time, () => {
        known.delete(time)
        // one that is taken back by another gives its place to one that is still to come
        for (let i = 0; i < made.alarms.length; i++) {
          const alarm = made.alarms[i]! // below the length
          alarm.index = GONE
          alarm.ring()
        }
        made.alarms.length = 0
      })
    )
  }
  const { alarms, fiber } = slot
  const alarm = new Alarm(ring, alarms.length)
  alarms.push(alarm)
  return () => {
    const { index } = alarm
    if (index === GONE) return
    alarm.index = GONE
    const last = alarms.pop()! // there is the alarm itself
    if (last !== alarm) {
      alarms[index] = last
      last.index = index
    }
    // a sleep that nobody waits for would keep the process from its end
    if (alarms.length > 0 || known.get(time)?.alarms !== alarms) return
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
