/** One target in a thread of its own, so that the main thread sees when it hangs. */
import { parentPort, workerData } from "node:worker_threads"
import * as Runner from "./Runner.ts"
import { targets } from "./targets/all.ts"

export interface Task {
  readonly target: string
  readonly seed: number
  readonly from: number
  readonly inputs: number
  /** One number: the input under way. */
  readonly progress: Int32Array
}

// the main thread makes it
const { from, inputs, progress, seed, target: name } = workerData as Task
const target = targets.find((one) => one.name === name)!
const collect = (globalThis as { readonly gc?: () => void }).gc
const outcome = await Runner.run(target, { seed, from, inputs, collect, onInput: (index) => Atomics.store(progress, 0, index) })
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(outcome)
