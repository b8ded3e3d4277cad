/** gRPC clients: the client under test has the core that servers have in the other benches, a server faster than any client has the other one. */
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import type { Bench, Figures, Turn } from "../Bench.ts"
import { type BenchError, failed } from "../BenchError.ts"
import * as Check from "../Check.ts"
import * as Child from "../Child.ts"
import * as Subject from "../Subject.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"

const subjects: ReadonlyArray<Subject.Subject> = [
  Subject.node("http2", "client-http2"),
  Subject.node("grpc-js", "client-grpc-js"),
  Subject.node("nice-grpc", "client-nice-grpc"),
  Subject.node("connect-node", "client-connect-node"),
  Subject.node("effect-kratos", "client-effect-kratos"),
  Subject.node("effect-kratos-timeout", "client-timeout-effect-kratos")
]

/**
 * Asks a client for a run; its figures are a second of the clock, and a second of its own CPU time. A run without an answer, on a busy machine, is done
 * again, twice at most.
 */
const ask = (client: Child.Started, inFlight: number, seconds: number): Effect.Effect<Figures, BenchError> =>
  client.ask(JSON.stringify({ inFlight, seconds }), seconds + 15).pipe(
    Effect.repeat({ times: 2, while: (report) => !(Child.number(report, "calls")! > 0) }),
    Effect.flatMap((report) => {
      const calls = Child.number(report, "calls") ?? 0
      const elapsed = Child.number(report, "seconds") ?? Number.NaN
      return calls > 0
        ? Effect.succeed(Served.figures("calls", calls / elapsed, calls, Child.number(report, "cpuSeconds")))
        : Effect.fail(failed("no call was answered, three times"))
    })
  )

export const client = Effect.fnUntraced(function* (machine: Machine): Effect.fn.Return<Bench, BenchError, Scope> {
  const { cores } = machine
  const server = Subject.node("server", "client-server")
  const { port } = yield* Child.serve([...cores.load, ...server.command])
  yield* Check.unary(port)
  return {
    name: "client",
    subjects,
    loads: ["1 in flight", "50 in flight", "500 in flight"],
    warm: true,
    open: (subject) =>
      Effect.map(Child.start([...cores.server, ...subject.command, String(port)]), (started): Turn => ({
        measure: (load, seconds) => ask(started, Number.parseInt(load, 10), seconds),
        check: Effect.asVoid(ask(started, 1, 0.1))
      }))
  }
})
