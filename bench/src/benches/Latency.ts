/**
 * Latency at a rate that everybody can bear: half of the slowest subject's peak, the same for all. Calls are due at fixed times, and a call counts
 * from when it was due: a server that pauses is charged for all that it keeps waiting.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import * as Check from "../Check.ts"
import * as Child from "../Child.ts"
import * as Replay from "../Replay.ts"
import * as Shape from "../Shape.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"

/** Those between which the question is open: a slower one would set a rate at which nobody else is busy. */
const subjects = ({ go }: Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("http2", "unary-http2"),
  Subject.node("grpc-js", "unary-grpc-js"),
  Subject.go("grpc-go", go, "grpc-go"),
  Subject.node("effect-kratos", "unary-effect-kratos")
]

export const latency = (machine: Machine): Effect.Effect<Bench> =>
  Effect.sync(() => {
    const { args, cores } = machine
    const loads = Shape.names(args.shapes, ["10x10"])
    const peaks = new Map<string, number>()
    const replay = (port: number, load: string, seconds: number, rate?: number) => {
      const shape = Shape.parse(load)!
      const options = { port, path: Check.method, body: Check.body(), ...shape, seconds, varied: false, rate }
      return Replay.run(cores.load, options, Check.REPLY)
    }
    return {
      name: "latency",
      subjects: subjects(machine),
      loads,
      warm: true,
      open: (subject) =>
        Effect.gen(function* () {
          const { port } = yield* Child.serve([...cores.server, ...subject.command])
          for (const seconds of [args.warmup, args.seconds]) {
            if (seconds > 0) peaks.set(subject.name, (yield* replay(port, loads[0]!, seconds)).rate)
          }
          yield* Console.error(`latency ${subject.name}: peak ${Math.round(peaks.get(subject.name) ?? 0)} calls/s`)
          const turn: Turn = {
            check: Check.unary(port),
            measure: (load, seconds) => {
              const rate = Math.round(Math.min(...peaks.values()) / 2)
              return Effect.map(replay(port, load, seconds, rate), ({ p50, p99, rate: answered }) => ({
                "ms p50": p50,
                "ms p99": p99,
                "calls/s": answered
              }))
            }
          }
          return turn
        })
    }
  })
