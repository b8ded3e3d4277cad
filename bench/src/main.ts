/** `npm run bench`: parses, runs, prints. Rows go to stdout; progress, warnings and failures to stderr. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { parse, usage } from "./Arguments.ts"
import * as Bench from "./Bench.ts"
import { select } from "./benches/Benches.ts"
import { temporaryFolder } from "./benches/Machine.ts"
import { failed } from "./BenchError.ts"
import * as Cores from "./Cores.ts"
import * as Go from "./Go.ts"
import * as Row from "./Row.ts"
import * as Targets from "./Targets.ts"

const main = Effect.gen(function* () {
  const args = yield* Effect.fromResult(parse(process.argv.slice(2)))
  if (args.help) return yield* Console.log(usage)
  const cores = Cores.detect()
  const go = Go.wanted(args.subjects) ? yield* Go.build : Go.none
  const benches = yield* select({ args, cores, go, folder: yield* temporaryFolder })
  if (cores.warning !== undefined) yield* Console.error(`warning: ${cores.warning}`)

  const failures: Array<string> = []
  const rows: Array<Row.Row> = []
  for (const bench of benches) {
    const outcome = yield* Bench.run(bench, args)
    failures.push(...outcome.failures)
    for (const measured of outcome.measured) {
      rows.push(...Row.fromMeasured(measured))
      const noise = Row.noise(measured)
      if (noise > 0.15)
        yield* Console.error(`warning: rounds differ by ±${Math.round(noise * 100)}%: the machine was not quiet, or --seconds is too short`)
      if (!args.json) yield* Console.log(`\n${Row.toTable(measured)}`)
      else for (const line of [...Row.fromMeasured(measured).map(Row.toJson), ...Row.skippedToJson(measured)]) yield* Console.log(line)
    }
  }
  if (args.targets) {
    const verdicts = Targets.judge(rows)
    if (!args.json) yield* Console.log(`\n${Targets.toTable(verdicts)}`)
    else for (const verdict of verdicts) yield* Console.log(Targets.toJson(verdict))
  }
  if (failures.length > 0) return yield* failed(`without a figure: ${failures.join(", ")}`)
}).pipe(
  Effect.scoped,
  Effect.tapError((error) => Console.error(error.message))
)

NodeRuntime.runMain(main, { disableErrorReporting: true })
