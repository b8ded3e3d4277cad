/** Calls that wait for a connection: first come, first served; one that gives up leaves from the middle. */
import type { Connection } from "./PooledConnection.ts"
import type { CallShape } from "@effect-kratos/core/Call"
import type { KratosError } from "@effect-kratos/core/error/KratosError"

/** A call in the queue. It is told once, and is not in the queue any more when it is. */
export class Waiter {
  readonly call: CallShape
  readonly waitForReady: boolean
  readonly onConnection: (connection: Connection) => void
  readonly onFailure: (error: KratosError) => void
  previous: Waiter | undefined = undefined
  next: Waiter | undefined = undefined
  queued = false

  constructor(
    call: CallShape,
    waitForReady: boolean,
    onConnection: (connection: Connection) => void,
    onFailure: (error: KratosError) => void
  ) {
    this.call = call
    this.waitForReady = waitForReady
    this.onConnection = onConnection
    this.onFailure = onFailure
  }
}

export class CallQueue {
  size = 0
  private first: Waiter | undefined = undefined
  private last: Waiter | undefined = undefined

  push(waiter: Waiter): void {
    waiter.queued = true
    waiter.previous = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.next = waiter
    this.last = waiter
    this.size++
  }

  /** For a call that had its turn already. */
  unshift(waiter: Waiter): void {
    waiter.queued = true
    waiter.next = this.first
    if (this.first === undefined) this.last = waiter
    else this.first.previous = waiter
    this.first = waiter
    this.size++
  }

  /** One of them, unless it is content to wait. */
  take(waiter: Waiter): ReadonlyArray<Waiter> {
    if (waiter.waitForReady) return []
    this.remove(waiter)
    return [waiter]
  }

  remove(waiter: Waiter): void {
    if (!waiter.queued) return
    const { next, previous } = waiter
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    waiter.previous = waiter.next = undefined
    waiter.queued = false
    this.size--
  }

  /** The call whose turn it is. */
  get head(): Waiter | undefined {
    return this.first
  }

  /** The first ones, at most so many. */
  peek(most: number): ReadonlyArray<Waiter> {
    const waiters: Array<Waiter> = []
    for (let waiter = this.first; waiter !== undefined && waiters.length < most; waiter = waiter.next) waiters.push(waiter)
    return waiters
  }

  /** All of them, or those that are not content to wait, taken out in order. */
  takeAll(impatient: boolean): ReadonlyArray<Waiter> {
    const taken: Array<Waiter> = []
    for (let waiter = this.first; waiter !== undefined; waiter = waiter.next) {
      if (!impatient || !waiter.waitForReady) taken.push(waiter)
    }
    for (const waiter of taken) this.remove(waiter)
    return taken
  }
}
