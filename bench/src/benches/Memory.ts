/** Memory of a server: resident when it has answered once and rests, resident behind a load, and what is live on its heap behind it. */
import * as Effect from "effect/Effect"
import type { Bench, Turn } from "../Bench.ts"
import { type BenchError, failed } from "../BenchError.ts"
import * as Check from "../Check.ts"
import * as Child from "../Child.ts"
import * as Cpu from "../Cpu.ts"
import * as Compiled from "../Compiled.ts"
import * as Load from "../Load.ts"
import * as Shape from "../Shape.ts"
import * as Machine from "./Machine.ts"
import { headers, subjects } from "./Unary.ts"

const MIB = 1_048_576

const resident = (pid: number): Effect.Effect<number, BenchError> =>
  Effect.suspend(() => {
    const bytes = Cpu.resident(pid)
    return bytes === undefined ? Effect.fail(failed("the kernel tells no memory")) : Effect.succeed(bytes / MIB)
  })

export const memory = Effect.fnUntraced(function* (machine: Machine.Machine): Effect.fn.Return<Bench, BenchError> {
  const compiled = [
    yield* Compiled.compile("effect-kratos-compiled", "unary-effect-kratos"),
    yield* Compiled.bundle("effect-kratos-bundled", "unary-effect-kratos"),
    yield* Compiled.bundle("grpc-js-bundled", "unary-grpc-js")
  ]
  const body = Machine.write(machine, "memory.bin", Check.frame())
  const load = Load.h2load(yield* Machine.program("h2load"), machine.cores.load, { body, headers })
  return {
    name: "memory",
    subjects: [...subjects(machine), ...compiled],
    loads: Shape.names(machine.args.shapes, ["10x10"]),
    warm: false,
    rounds: 3,
    open: ({ command: [program = "", ...rest] }) => {
      // Node tells what is live only if it may collect garbage when asked
      const command = program === process.execPath ? [program, "--expose-gc", ...rest] : [program, ...rest]
      const launch = Child.serve([...machine.cores.server, ...command])
      return Effect.succeed<Turn>({
        check: Effect.scoped(Effect.flatMap(launch, ({ port }) => Check.unary(port))),
        measure: (shape, seconds) =>
          Effect.scoped(
            Effect.gen(function* () {
              const { ask, pid, port } = yield* launch
              yield* Check.unary(port)
              yield* Effect.sleep("500 millis")
              const idle = yield* resident(pid)
              yield* load.run(`http://127.0.0.1:${port}${Check.method}`, Shape.parse(shape)!, seconds)
              const loaded = yield* resident(pid)
              yield* Effect.sleep("300 millis")
              const heap = Child.number(yield* ask("heap", 15), "heap")
              if (heap === undefined) return yield* failed("did not tell its heap")
              return { "MiB idle": idle, "MiB loaded": loaded, "MiB heap after load": heap / MIB }
            })
          )
      })
    }
  }
})
