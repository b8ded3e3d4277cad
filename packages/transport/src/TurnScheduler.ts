/**
 * A scheduler for a server's calls that keeps turns of the event loop short: once fibers have run for `budget` in a turn, those that would
 * go on now wait for the next one, first come, first served. Node serves all timers that are due before it looks at sockets again, and all
 * that one socket has brought, so that what could be answered at once, a refusal above all, would wait for every handler that has to compute.
 */
import type * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import * as LoopTurn from "./LoopTurn.ts"

/** Milliseconds. A turn takes as long as this and one step of one handler. */
const BUDGET = 1

/** `nextTurn` is the platform's, but for tests. */
export const make = (
  clock: Clock.Clock,
  budget: number = BUDGET,
  nextTurn: (task: () => void) => void = LoopTurn.next
): Scheduler.Scheduler => new TurnScheduler(clock, budget, nextTurn)

class TurnScheduler implements Scheduler.Scheduler, Scheduler.SchedulerDispatcher {
  readonly executionMode = "async"
  private readonly clock: Clock.Clock
  private readonly budget: number
  private readonly nextTurn: (task: () => void) => void
  /** When the first fiber ran in this turn; NaN when none has. */
  private began = Number.NaN
  /** What runs has waited for its turn. */
  private isDispatching = false
  private isScheduled = false
  private waiting: Array<() => void> = []

  constructor(clock: Clock.Clock, budget: number, nextTurn: (task: () => void) => void) {
    this.clock = clock
    this.budget = budget
    this.nextTurn = nextTurn
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    // only where a fiber is resumed: the clock is not asked for each of its steps
    if (fiber.currentOpCount === 1 && !this.isDispatching) return this.isOver()
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this
  }

  scheduleTask(task: () => void): void {
    this.waiting.push(task)
    this.schedule()
  }

  flush(): void {
    while (this.waiting.length > 0) this.runTasks(Number.POSITIVE_INFINITY)
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.nextTurn(this.run)
  }

  private readonly run = (): void => {
    this.isScheduled = false
    this.began = Number.NaN
    this.runTasks(this.budget)
  }

  private runTasks(budget: number): void {
    // those that come meanwhile are for the next turn, so that sockets are looked at
    const { length } = this.waiting
    let done = 0
    this.isDispatching = true
    try {
      while (done < length && !this.isOver(budget)) this.waiting[done++]!()
    } finally {
      this.isDispatching = false
      this.waiting = this.waiting.slice(done)
      if (this.waiting.length > 0) this.schedule()
    }
  }

  /** Whether the turn has had its time. */
  private isOver(budget: number = this.budget): boolean {
    const now = this.clock.currentTimeMillisUnsafe()
    if (this.began === this.began) return now - this.began >= budget
    this.began = now
    this.nextTurn(this.turned)
    return false
  }

  private readonly turned = (): void => {
    this.began = Number.NaN
  }
}
