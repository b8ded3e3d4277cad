/**
 * Turns of the event loop: what is done in the next one finds that sockets and memory pairs have delivered what had come. No time passes for a `Clock`,
 * so that programs stay simulable.
 */

/** Runs `task` in the next turn of the loop, unless what it returns is called before. */
export const next = (task: () => void): (() => void) => {
  const turn = setImmediate(task)
  return () => clearImmediate(turn)
}
