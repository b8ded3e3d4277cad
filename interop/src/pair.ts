/**
 * Runs one peer's client against another peer's server: `node interop/src/pair.ts SERVER CLIENT [CASE ...]`, each of ours, grpc-js, go and python.
 * That the peers' nine pairs pass among themselves is what makes them a yardstick for us.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Peers from "./Peers.ts"
import * as Program from "./Program.ts"

const isName = (name: string | undefined): name is Peers.PeerName => Peers.names.some((known) => known === name)

const main = Effect.gen(function* () {
  const [serverName, clientName, ...cases] = process.argv.slice(2)
  if (!isName(serverName) || !isName(clientName))
    return yield* Console.error(`usage: pair.ts SERVER CLIENT [CASE ...], of ${Peers.names.join(", ")}`)
  const [server, client] = [Peers.find(serverName), Peers.find(clientName)]
  const missing = server.missing ?? client.missing
  if (missing !== undefined) return yield* Console.error(missing)
  const port = yield* Program.serve(server.server)
  const { code, stderr, stdout } = yield* Program.run([...client.client, `127.0.0.1:${port}`, ...cases])
  yield* Console.log(`${stdout}${stderr}`.trim())
  process.exitCode = code === 0 ? 0 : 1
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
