/** A real Consul agent in development mode on this machine. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as Consul from "../src/Consul.ts"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"

export const skip = Daemon.missing("consul")

export class ConsulServer extends Context.Service<ConsulServer, { readonly port: number; readonly daemon: Daemon.Daemon }>()(
  "test/ConsulServer"
) {}

export const make = (acl = false) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped({ prefix: "consul-" })
    const [port, dns, serf, server, grpc] = [
      yield* Daemon.freePort,
      yield* Daemon.freePort,
      yield* Daemon.freePort,
      yield* Daemon.freePort,
      yield* Daemon.freePort
    ]
    const settings = acl ? { acl: { enabled: true, default_policy: "deny", tokens: { master: "hunter2" } } } : {}
    yield* fs.writeFileString(`${data}/settings.json`, JSON.stringify(settings))
    const daemon = yield* Daemon.make({
      command: "consul",
      args: [
        ..."agent -server -bootstrap -bind 127.0.0.1 -client 127.0.0.1 -serf-wan-port -1 -node t -log-level warn".split(" "),
        `-config-file=${data}/settings.json`,
        `-data-dir=${data}`,
        `-http-port=${port}`,
        `-dns-port=${dns}`,
        `-serf-lan-port=${serf}`,
        `-server-port=${server}`,
        `-grpc-port=${grpc}`
      ],
      // the agent's own leader, elected
      probe: Effect.flatMap(
        Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/v1/status/leader`).then((response) => response.text())),
        (text) => (text.includes(String(server)) ? Effect.void : Effect.fail(text))
      )
    })
    return ConsulServer.of({ port, daemon })
  })

export const layer = Layer.effect(ConsulServer, make()).pipe(Layer.provideMerge(NodeServices.layer))

/** An operator's own connection. */
export const operator = Effect.flatMap(ConsulServer, ({ port }) =>
  Effect.map(Layer.build(Layer.fresh(Consul.layer({ address: `127.0.0.1:${port}` }))), (context) => Context.get(context, Consul.Consul))
)
