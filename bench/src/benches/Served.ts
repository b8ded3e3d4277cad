/** Benches of servers: the subject serves on one core, a load program asks from another. */
import * as Effect from "effect/Effect"
import type { Bench, Figures, Turn } from "../Bench.ts"
import { type BenchError, failed } from "../BenchError.ts"
import * as Child from "../Child.ts"
import * as Cpu from "../Cpu.ts"
import type { Report } from "../Load.ts"
import type { Subject } from "../Subject.ts"
import type { Machine } from "./Machine.ts"

export interface Options {
  readonly name: string
  readonly subjects: ReadonlyArray<Subject>
  readonly loads: ReadonlyArray<string>
  /** What is counted, in the plural: `calls`. */
  readonly what: string
  readonly check: (port: number) => Effect.Effect<void, BenchError>
  readonly load: (port: number, load: string, seconds: number) => Effect.Effect<Report, BenchError>
  /** How many of `what` a report stands for. Default: its requests. */
  readonly amount?: ((report: Report) => number) | undefined
  readonly env?: Child.Environment | undefined
}

/** Figures a second, and a second of the server's own CPU time, which other programs on the machine disturb far less. */
export const figures = (what: string, rate: number, amount: number, cpuSeconds: number | undefined): Figures => ({
  [`${what}/s`]: rate,
  ...(cpuSeconds === undefined || cpuSeconds <= 0 ? {} : { [`${what}/CPU-s`]: amount / cpuSeconds })
})

/** What `effect` answers with, and the CPU time that a process has used meanwhile, where the kernel says it. */
export const withCpu = <A>(
  pid: number,
  effect: Effect.Effect<A, BenchError>
): Effect.Effect<readonly [A, number | undefined], BenchError> =>
  Effect.suspend(() => {
    const before = Cpu.seconds(pid)
    return Effect.map(effect, (value) => {
      const after = Cpu.seconds(pid)
      return [value, before === undefined || after === undefined ? undefined : after - before] as const
    })
  })

export const make = ({ cores }: Machine, options: Options): Bench => ({
  name: options.name,
  subjects: options.subjects,
  loads: options.loads,
  warm: true,
  open: (subject) =>
    Effect.map(Child.serve([...cores.server, ...subject.command], options.env), ({ pid, port }): Turn => ({
      check: options.check(port),
      measure: (load, seconds) =>
        withCpu(pid, options.load(port, load, seconds)).pipe(
          Effect.flatMap(([report, cpuSeconds]) => {
            const amount = options.amount?.(report) ?? report.done
            const rate = options.amount === undefined ? report.rate : amount / report.seconds
            return amount > 0
              ? Effect.succeed(figures(options.what, rate, amount, cpuSeconds))
              : Effect.fail(failed("the load counted nothing"))
          })
        )
    }))
})
