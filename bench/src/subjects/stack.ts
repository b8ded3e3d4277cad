/**
 * What a call pays for aspects, in a process without a wire: on a line such as `{"seconds":1,"load":"Metrics"}` it runs unary calls of a compiled method
 * one after the other, and prints how many there were.
 */
import * as Aspect from "@effect-kratos/core/Aspect"
import * as Logging from "@effect-kratos/core/aspect/Logging"
import * as Metrics from "@effect-kratos/core/aspect/Metrics"
import * as Recovery from "@effect-kratos/core/aspect/Recovery"
import * as Tracing from "@effect-kratos/core/aspect/Tracing"
import * as Metadata from "@effect-kratos/core/Metadata"
import { Greeter } from "@effect-kratos/example-helloworld/src/gen/helloworld/v1/greeter_effect.ts"
import * as DeadlineTimers from "@effect-kratos/transport/DeadlineTimers"
import * as Implementation from "@effect-kratos/transport/Implementation"
import * as Operation from "@effect-kratos/transport/Operation"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import * as readline from "node:readline"

const quiet = Context.make(References.MinimumLogLevel, "Warn")
const recording = Context.add(quiet, Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))

const all = Aspect.compose(Tracing.server, Metrics.server, Logging.server, Recovery.server)

interface Stack {
  readonly aspects: Aspect.Aspect<unknown>
  readonly services: Context.Context<never>
}

const loads: Readonly<Record<string, Stack>> = {
  "no aspect": { aspects: Aspect.identity, services: quiet },
  Recovery: { aspects: Recovery.server, services: quiet },
  "Logging, no line": { aspects: Logging.server, services: quiet },
  Metrics: { aspects: Metrics.server, services: quiet },
  "Tracing, no span": { aspects: Tracing.server, services: quiet },
  "Tracing, a span": { aspects: Tracing.server, services: recording },
  "all, nothing recorded": { aspects: all, services: quiet },
  "all, recorded": { aspects: all, services: recording }
}

const timers = Effect.runSync(Effect.scoped(DeadlineTimers.make))
const method = Greeter.descriptor.methods[0]!
const implementation = Implementation.of(Greeter.descriptor, { sayHello: () => Effect.succeed({ message: "Hello kratos" }) })
const origin = { address: "127.0.0.1:50000", endpoint: "http://127.0.0.1:8000", identity: undefined }

const prepare = ({ aspects, services }: Stack): ((onEnd: (succeeded: boolean) => void) => void) => {
  const operation = Operation.make(method, implementation, { aspects, timers, services: () => services, running: new Set() })!
  return (onEnd) => {
    const call = new Operation.Incoming("grpc", operation, origin, undefined, () => Metadata.make())
    call.message = { name: "kratos" }
    operation.run(call, (exit) => onEnd(Exit.isSuccess(exit)))
  }
}

/** Calls between two looks at the length of the run. */
const BATCH = 1000

const calls = new Map<string, ReturnType<typeof prepare>>()
const lines = readline.createInterface({ input: process.stdin })
lines.on("line", (line) => {
  const { load, seconds } = JSON.parse(line) as { load: string; seconds: number } // written by `Stack.ts`
  const call = calls.get(load) ?? prepare(loads[load]!)
  calls.set(load, call)
  const cpu = process.cpuUsage()
  const start = performance.now()
  let done = 0
  let succeeded = 0
  let now = start
  const onEnd = (isSuccess: boolean): void => {
    if (isSuccess) succeeded++
  }
  do {
    for (let i = 0; i < BATCH; i++) call(onEnd)
    done += BATCH
    now = performance.now()
  } while (now - start < seconds * 1000)
  const { system, user } = process.cpuUsage(cpu)
  process.stdout.write(`${JSON.stringify({ calls: done, succeeded, seconds: (now - start) / 1000, cpuSeconds: (user + system) / 1e6 })}\n`)
})
lines.on("close", () => process.exit(0))
process.stdout.write(`{"ready":1}\n`)
