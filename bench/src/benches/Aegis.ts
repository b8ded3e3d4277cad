/** What a call pays for each availability algorithm, in a process of its own without a wire. One microsecond is a million calls a second. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import { failed } from "../BenchError.ts"
import * as Child from "../Child.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"

/** The loads, and whether their calls are admitted. */
const loads: ReadonlyMap<string, boolean> = new Map([
  ["breaker", true],
  ["breaker, open", false],
  ["bbr", true],
  ["bbr, overloaded", false],
  ["delay", true],
  ["delay, overloaded", false],
  ["token bucket", true],
  ["token bucket, 1000 keys", true],
  ["retry budget", true],
  ["concurrency limit", true],
  ["top 100", true]
])

/** All calls of a load are admitted, or nearly none: a breaker finds out first, and probes. */
const isRight = (load: string, calls: number, admitted: number): boolean =>
  loads.get(load) === true ? admitted === calls : admitted <= 100

export const aegis = ({ cores }: Machine): Effect.Effect<Bench> =>
  Effect.succeed({
    name: "aegis",
    subjects: [Subject.node("effect-kratos", "aegis")],
    loads: [...loads.keys()],
    warm: true,
    open: (subject) =>
      Child.start([...cores.server, ...subject.command]).pipe(
        Effect.map((started): Turn => {
          const run = (load: string, seconds: number) =>
            started.ask(JSON.stringify({ load, seconds }), seconds + 15).pipe(
              Effect.flatMap((report) => {
                const calls = Child.number(report, "calls") ?? 0
                const admitted = Child.number(report, "admitted") ?? Number.NaN
                if (!isRight(load, calls, admitted)) {
                  return Effect.fail(failed(`${load}: admitted ${admitted} of ${calls} calls`))
                }
                const elapsed = Child.number(report, "seconds") ?? Number.NaN
                return Effect.succeed(Served.figures("calls", calls / elapsed, calls, Child.number(report, "cpuSeconds")))
              })
            )
          return { measure: run, check: Effect.forEach(loads.keys(), (load) => run(load, 0), { discard: true }) }
        })
      )
  })
