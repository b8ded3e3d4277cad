/** gRPC unary calls with eight more headers, no two calls alike: what is left of the speed when nothing about a call can be remembered. */
import * as Effect from "effect/Effect"
import type { Bench } from "../Bench.ts"
import * as Check from "../Check.ts"
import * as Replay from "../Replay.ts"
import * as Shape from "../Shape.ts"
import type { Machine } from "./Machine.ts"
import * as Served from "./Served.ts"
import { subjects } from "./Unary.ts"

export const headers = (machine: Machine): Effect.Effect<Bench> =>
  Effect.sync(() =>
    Served.make(machine, {
      name: "headers",
      subjects: subjects(machine),
      loads: Shape.names(machine.args.shapes, ["10x10"]),
      what: "calls",
      check: (port) => Check.unary(port),
      load: (port, shape, seconds) => {
        const options = { port, path: Check.method, body: Check.body(), ...Shape.parse(shape)!, seconds, varied: true }
        return Effect.map(Replay.run(machine.cores.load, options, Check.REPLY), Replay.toReport)
      }
    })
  )
