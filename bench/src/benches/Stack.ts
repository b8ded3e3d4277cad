/** What a unary call pays for aspects, in a process of its own without a wire. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import { failed } from "../BenchError.ts"
import * as Child from "../Child.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"

const loads = [
  "no aspect",
  "Recovery",
  "Logging, no line",
  "Metrics",
  "Tracing, no span",
  "Tracing, a span",
  "all, nothing recorded",
  "all, recorded"
]

export const stack = ({ cores }: Machine): Effect.Effect<Bench> =>
  Effect.succeed({
    name: "stack",
    subjects: [Subject.node("effect-kratos", "stack")],
    loads,
    warm: true,
    open: (subject) =>
      Child.start([...cores.server, ...subject.command]).pipe(
        Effect.map((started): Turn => {
          const run = (load: string, seconds: number) =>
            started.ask(JSON.stringify({ load, seconds }), seconds + 15).pipe(
              Effect.flatMap((report) => {
                const calls = Child.number(report, "calls") ?? 0
                const succeeded = Child.number(report, "succeeded") ?? Number.NaN
                if (succeeded !== calls) return Effect.fail(failed(`${load}: ${succeeded} of ${calls} calls succeeded`))
                const elapsed = Child.number(report, "seconds") ?? Number.NaN
                return Effect.succeed(Served.figures("calls", calls / elapsed, calls, Child.number(report, "cpuSeconds")))
              })
            )
          return { measure: run, check: Effect.forEach(loads, (load) => run(load, 0), { discard: true }) }
        })
      )
  })
