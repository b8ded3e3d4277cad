/** Start-up: from the launch of the process to its first answer, as a supervisor or an autoscaler sees it. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import type { BenchError } from "../BenchError.ts"
import * as Check from "../Check.ts"
import * as Child from "../Child.ts"
import * as Cpu from "../Cpu.ts"
import * as Once from "../replay/Once.ts"
import * as Compiled from "../Compiled.ts"
import type { Machine } from "./Machine.ts"
import { subjects } from "./Unary.ts"

/** The kernel counts CPU time in steps of so many milliseconds, and a program in Go starts within one. */
const STEP = 10

export const startup = Effect.fnUntraced(function* (machine: Machine): Effect.fn.Return<Bench, BenchError> {
  const compiled = [
    yield* Compiled.compile("effect-kratos-compiled", "unary-effect-kratos"),
    yield* Compiled.bundle("effect-kratos-bundled", "unary-effect-kratos"),
    yield* Compiled.bundle("grpc-js-bundled", "unary-grpc-js")
  ]
  const ask = yield* Once.prepare(Check.method, Check.frame())
  return {
    name: "startup",
    subjects: [...subjects(machine), ...compiled],
    loads: ["first answer"],
    warm: false,
    open: (subject) => {
      const launch = Child.serve([...machine.cores.server, ...subject.command])
      return Effect.succeed<Turn>({
        check: Effect.scoped(Effect.flatMap(launch, ({ port }) => Check.unary(port))),
        measure: () =>
          Effect.scoped(
            Effect.gen(function* () {
              const before = performance.now()
              const { pid, port } = yield* launch
              yield* ask(port)
              const elapsed = performance.now() - before
              const cpuSeconds = Cpu.seconds(pid)
              return { ms: elapsed, ...(cpuSeconds === undefined ? {} : { "CPU-ms": Math.max(STEP, cpuSeconds * 1000) }) }
            })
          )
      })
    }
  }
})
