/**
 * How late the event loop is: what a program of one thread has in place of a queue to look at. What has come and is not served yet lies in
 * sockets, which no count of calls in flight shows; but a timer that is due waits as long as everything else. So a timer is set again and
 * again, and how late it fires is the delay.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"

export interface Shape {
  /** How late the loop is at present, smoothed, in milliseconds. A turn that does not end counts while it lasts. */
  readonly delay: () => number
  /** The least that it was late in the last 100 ms, in milliseconds: a queue that stands, not a burst that goes away (CoDel, RFC 8289). */
  readonly standing: () => number
  /** Milliseconds in which the loop has not waited for events, counted from any time. */
  readonly active: () => number
  /** The time when the present turn was first asked for, `now` if it has not been: all that is found in one turn has waited together. */
  readonly turn: (now: number) => number
  /** Under which the calls of a server should run so that turns stay short, and under which the timer runs: what waits there is late. */
  readonly scheduler?: Scheduler.Scheduler | undefined
}

/** What only the platform knows. */
export interface Platform {
  readonly active: Shape["active"]
  /** Runs `task` in the next turn of the loop. */
  readonly nextTurn: (task: () => void) => void
  readonly scheduler?: Shape["scheduler"]
}

/** Milliseconds between two looks. */
const INTERVAL = 10
/** Weight of the past. */
const DECAY = 0.7
/** Milliseconds of which the least delay is taken, and how many looks that takes at least: a single pause is no queue. */
const STANDING = 100
const LOOKS = 2
/** As many looks as fit into that time. */
const KEPT = STANDING / INTERVAL

/** Looks every 10 ms until the scope closes. */
export const make = Effect.fnUntraced(function* (platform: Platform): Effect.fn.Return<Shape, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  let smoothed = 0
  let due = now() + INTERVAL
  /** How late the last looks were, in a ring. */
  const late = new Float64Array(KEPT)
  let looks = 0
  /** Turns that have begun since the next look was due. */
  let overdue = 0
  const look = () => {
    const at = now()
    const delay = Math.max(0, at - due)
    smoothed = smoothed * DECAY + delay * (1 - DECAY)
    late[looks++ % KEPT] = delay
    due = at + INTERVAL
    overdue = 0
  }
  const standing = () => {
    // one that is under way counts as far as it has come; that the loop has turned meanwhile tells a queue from a pause
    const pending = now() - due
    let least = pending > 0 ? pending : Number.POSITIVE_INFINITY
    let covered = pending > 0 ? pending + INTERVAL : 0
    let taken = pending > 0 ? Math.min(overdue, LOOKS) : 0
    for (let i = 1; i <= KEPT && (covered < STANDING || taken < LOOKS); i++, taken++) {
      const delay = late[(looks + KEPT - i) % KEPT]!
      least = Math.min(least, delay)
      covered += delay + INTERVAL
    }
    return least
  }
  const looking = Effect.sync(look).pipe(Effect.delay(Duration.millis(INTERVAL)), Effect.forever, Effect.forkScoped)
  yield* platform.scheduler === undefined ? looking : Effect.provideService(looking, Scheduler.Scheduler, platform.scheduler)

  let turn = Number.NaN
  const turned = () => {
    turn = Number.NaN
  }
  return {
    delay: () => Math.max(smoothed, now() - due),
    standing,
    active: platform.active,
    scheduler: platform.scheduler,
    turn: (at) => {
      if (turn === turn) return turn
      turn = at
      if (now() > due) overdue++
      platform.nextTurn(turned)
      return at
    }
  }
})
