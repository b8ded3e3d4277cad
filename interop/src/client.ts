/**
 * Takes a server of `test.v1.Echo` through the cases with our own client: client.ts HOST:PORT [--ca=FILE] [CASE ...], over TLS when it is told whose
 * certificates to trust.
 * It prints "ok NAME", "skip NAME why" or "FAIL NAME why" for each and ends with 1 when one failed.
 */
import * as Channels from "@effect-kratos/transport/Channels"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ClientCases from "./ClientCases.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"

const [target = "", ...rest] = process.argv.slice(2)
const only = rest.filter((word) => !word.startsWith("--"))
const ca = rest.find((word) => word.startsWith("--ca="))?.slice("--ca=".length)
// one object, so that all clients share connections
const tls = ca === undefined ? undefined : { ca }

const main = Effect.gen(function* () {
  let failed = false
  for (const [name, run] of Object.entries(ClientCases.cases(target, tls))) {
    if (only.length > 0 && !only.includes(name)) continue
    if (typeof run === "string") {
      yield* Console.log(`skip ${name} ${run}`)
      continue
    }
    const exit = yield* Effect.exit(Effect.timeout(run, "20 seconds"))
    if (Exit.isSuccess(exit)) yield* Console.log(`ok ${name}`)
    else {
      failed = true
      yield* Console.log(`FAIL ${name} ${Cause.pretty(exit.cause).replaceAll("\n", "; ").slice(0, 400)}`)
    }
  }
  process.exitCode = failed ? 1 : 0
})

NodeRuntime.runMain(
  Effect.provide(main, Echo.client(target, { ...ClientCases.options, tls }).pipe(Layer.provideMerge(Channels.layerDirect)))
)
