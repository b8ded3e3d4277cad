/** REST: one GET that answers with a line of JSON, over HTTP/1.1. */
import * as Effect from "effect/Effect"
import type { Bench } from "../Bench.ts"
import type { BenchError } from "../BenchError.ts"
import * as Check from "../Check.ts"
import { which } from "../Cores.ts"
import * as Load from "../Load.ts"
import * as Shape from "../Shape.ts"
import * as Subject from "../Subject.ts"
import * as Machine from "./Machine.ts"
import * as Served from "./Served.ts"

const subjects = ({ go }: Machine.Machine): ReadonlyArray<Subject.Subject> => [
  Subject.node("http", "rest-http"),
  Subject.node("fastify", "rest-fastify"),
  Subject.node("hono", "rest-hono"),
  Subject.node("effect-http", "rest-effect-http"),
  Subject.go("kratos", go, "kratos", ["http"]),
  Subject.node("effect-kratos", "rest-effect-kratos")
]

export const rest = Effect.fnUntraced(function* (machine: Machine.Machine): Effect.fn.Return<Bench, BenchError> {
  const { args, cores } = machine
  const wrk = which("wrk")
  const h2load = which("h2load")
  const load =
    wrk !== undefined
      ? Load.wrk(wrk, cores.load)
      : h2load !== undefined
        ? Load.h2load(h2load, cores.load, { http1: true })
        : yield* Machine.missing("wrk, or h2load in its place,")
  return Served.make(machine, {
    name: "rest",
    subjects: subjects(machine),
    loads: Shape.names(
      args.shapes.filter(({ streams }) => streams === 1),
      ["64x1"]
    ),
    what: "requests",
    check: Check.rest,
    load: (port, shape, seconds) => load.run(`http://127.0.0.1:${port}${Check.path}`, Shape.parse(shape)!, seconds)
  })
})
