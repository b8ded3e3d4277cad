/** Prints what goes where. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { scenes, type Spread } from "./scenes.ts"

const table = (spread: Spread): string => {
  const all = Object.values(spread).reduce((sum, count) => sum + count, 0)
  const line = ([name, count]: [string, number]): string =>
    `  ${name.padEnd(6)}${String(count).padStart(4)}  ${"█".repeat(Math.round((count * 40) / all))}`
  return Object.entries(spread).map(line).join("\n")
}

NodeRuntime.runMain(
  Effect.forEach(scenes, ({ run, title }) => Effect.flatMap(run, (spread) => Console.log(`${title}\n${table(spread)}\n`)), {
    discard: true
  })
)
