/**
 * `npm run chaos -- SCENARIO|all [--seconds N] [--short] [--json]`: does to a fleet what the scenario says and prints the verdict of the journal, as a
 * table or in JSON. The exit code is 1 when a law is broken. `--list` lists the scenarios. `--short`: the forms that CI runs.
 */
import * as Verdict from "@effect-kratos/testing/Verdict"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { parseArgs } from "node:util"
import type { Scenario } from "./Scenario.ts"
import { load, names } from "./Scenarios.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false }
  }
})

const usage = `usage: npm run chaos -- ${[...names, "all"].join("|")} [--seconds N] [--short] [--json]`

/**
 * How often a scenario is run once more when nothing but laws about time is broken. What a machine does beside it makes times longer and never shorter, so the
 * best run is the one that says most about what is tested; everything else has to hold in every run.
 */
const AGAIN = 2

/** A scenario that fails or hangs is a broken law of its own. */
const judge = (scenario: Scenario): Effect.Effect<Verdict.Verdict> => {
  const seconds = values.seconds === undefined ? scenario.seconds[values.short ? "short" : "full"] : Number(values.seconds)
  return scenario.run(seconds).pipe(
    Effect.scoped,
    Effect.timeout(`${seconds * 2 + 120} seconds`),
    Effect.catchCause((cause) =>
      Effect.succeed(
        Verdict.make(scenario.name, [
          { law: "the scenario runs to its end", holds: false, measured: Cause.pretty(cause), bound: "its end" }
        ])
      )
    )
  )
}

const main = Effect.gen(function* () {
  if (values.list) {
    for (const name of names) {
      const { about, seconds } = yield* load(name)
      yield* Console.log(`${name.padEnd(12)} ${about} (${seconds.full} s, short ${seconds.short} s)`)
    }
    return
  }
  const chosen = positionals.includes("all") ? names : names.filter((name) => positionals.includes(name))
  const seconds = Number(values.seconds ?? 1)
  if (chosen.length === 0 || !(seconds > 0)) {
    process.exitCode = 2
    return yield* Console.error(usage)
  }
  let passed = 0
  let failed = 0
  for (const name of chosen) {
    const scenario = yield* load(name)
    let verdict = yield* judge(scenario)
    for (let again = 0; again < AGAIN && Verdict.isOnlyLate(verdict); again++) {
      // on standard output, where it is read beside the verdict that counts
      if (!values.json) yield* Console.log(`${Verdict.table(verdict)}\n${name}: only laws about time are broken, once more`)
      verdict = yield* judge(scenario)
    }
    yield* Console.log(values.json ? Verdict.json(verdict) : Verdict.table(verdict))
    for (const { holds } of verdict.laws) {
      if (holds) passed++
      else failed++
    }
    if (!verdict.holds) process.exitCode = 1
  }
  if (!values.json) yield* Console.log(`${passed} passed, ${failed} failed, 0 skipped`)
})

// standard output is the verdict's
const log = Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)])

NodeRuntime.runMain(main.pipe(Effect.provideService(References.MinimumLogLevel, "Warn"), Effect.provide(log)))
