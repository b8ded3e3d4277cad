/** What a process holds once the collector has run, in bytes: objects, and memory outside of the heap that they keep. */
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { turn } from "../Harness.ts"

setFlagsFromString("--expose-gc")
// the function that the flag puts into contexts made from now on
const collect = runInNewContext("gc") as () => void

export const held: Effect.Effect<number> = Effect.gen(function* () {
  // what is closed in this turn is free after the next
  for (let i = 0; i < 2; i++) {
    yield* turn
    collect()
  }
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
})
