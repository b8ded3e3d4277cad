/** Time where the owner of a connection gives it none: the platform's own. */

/** Runs a task after so many milliseconds; what it returns cancels that. */
export type After = (milliseconds: number, task: () => void) => () => void

/**
 * Timers of the platform that do not keep the process alive. What has come already is read first: a process that was suspended must not take a peer for
 * silent whose answer lies in the socket.
 */
export const after: After = (milliseconds, task) => {
  let turn: NodeJS.Immediate | undefined
  const timer = setTimeout(() => (turn = setImmediate(task)), milliseconds)
  timer.unref()
  return () => {
    clearTimeout(timer)
    clearImmediate(turn)
  }
}

/** Milliseconds of a clock that never goes back. */
export const now = (): number => performance.now()
