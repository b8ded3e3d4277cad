/** The timers of HTTP/2 connections on those of the program. */
import type { DeadlineTimers } from "./DeadlineTimers.ts"
import * as LoopTurn from "./LoopTurn.ts"

/** Turns of the loop in which a peer in the same process has answered. */
const TURNS = 10
/** Times from here on, in milliseconds, need not be kept more precisely than to a second. */
const LONG = 10_000

/**
 * The timers of the engine: connections that wait for about the same moment share one. What has come already is read first, since
 * a process that was suspended must not take a peer for silent whose answer lies in the socket; and a peer gets some turns of the loop, since the clock of
 * a test jumps over all that it would have said in the meantime.
 */
export const after =
  (timers: DeadlineTimers) =>
  (milliseconds: number, task: () => void): (() => void) => {
    const at = timers.now() + milliseconds
    let stop: (() => void) | undefined
    let turns = 0
    const wait = (): void => {
      if (turns++ === TURNS) task()
      else stop = LoopTurn.next(wait)
    }
    const timer = timers.add(milliseconds < LONG ? at : Math.ceil(at / 1000) * 1000, wait)
    return () => {
      timers.remove(timer)
      stop?.()
    }
  }
