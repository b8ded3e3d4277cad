/** The scenarios by name, each loaded when it is asked for. */
import * as Effect from "effect/Effect"
import type { Scenario } from "./Scenario.ts"

const scenarios: Readonly<Record<string, () => Promise<{ readonly scenario: Scenario }>>> = {
  kill: () => import("./scenarios/kill.ts"),
  slow: () => import("./scenarios/slow.ts"),
  overload: () => import("./scenarios/overload.ts"),
  down: () => import("./scenarios/down.ts"),
  disconnects: () => import("./scenarios/disconnects.ts"),
  leak: () => import("./scenarios/leak.ts"),
  registry: () => import("./scenarios/registry.ts"),
  restarts: () => import("./scenarios/restarts.ts")
}

export const names: ReadonlyArray<string> = Object.keys(scenarios)

export const load = (name: string): Effect.Effect<Scenario> =>
  Effect.promise(async () => {
    const { scenario } = await scenarios[name]!() // of `names`
    return scenario
  })
