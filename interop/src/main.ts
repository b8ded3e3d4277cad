/**
 * `npm run interop -- SUITE [PART ...] [--verbose]`: holds us against a suite that others made, all of it or the parts whose names contain a word.
 * Prints a line for each case that failed or was skipped (`--verbose`: for each) and ends with `N passed, N failed, N skipped`; exit code 1 when one failed.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Suite from "./suites/Suite.ts"
import { suites } from "./suites/Suites.ts"

const report =
  (verbose: boolean) =>
  ({ name, outcome, part, why }: Suite.Reported): Effect.Effect<void> => {
    const title = name === part ? part : `${part}: ${name}`
    if (outcome === "ok") return verbose ? Console.log(`ok ${title}`) : Effect.void
    // a part that is skipped whole says what it lacks
    if (outcome === "skip") return Console.log(name === part ? `skipped: ${why} (${part})` : `skip ${title}: ${why}`)
    return Console.log(`FAIL ${title}: ${why}`)
  }

const main = Effect.gen(function* () {
  const args = process.argv.slice(2)
  const [name = "", ...only] = args.filter((arg) => !arg.startsWith("-"))
  const load = Object.hasOwn(suites, name) ? suites[name] : undefined
  if (load === undefined) {
    process.exitCode = 2
    return yield* Console.error(`usage: npm run interop -- ${Object.keys(suites).join("|")} [PART ...] [--verbose]`)
  }
  const { suite } = yield* Effect.promise(load)
  const totals = yield* Suite.run(suite, only, report(args.includes("--verbose")))
  yield* Console.log(Suite.line(totals))
  process.exitCode = totals.failed > 0 || totals.passed + totals.skipped === 0 ? 1 : 0
})

NodeRuntime.runMain(main)
