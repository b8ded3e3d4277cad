/** A real etcd on this machine, of one test or one suite. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"

export const skip = Daemon.missing("etcd")

export class EtcdServer extends Context.Service<
  EtcdServer,
  { readonly port: number; readonly endpoint: string; readonly daemon: Daemon.Daemon }
>()("test/EtcdServer") {}

export const make = (extra: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const data = yield* fs.makeTempDirectoryScoped({ prefix: "etcd-" })
    const [port, peer] = [yield* Daemon.freePort, yield* Daemon.freePort]
    // etcd speaks TLS where it is given a certificate
    const secure = extra.includes("--cert-file")
    const url = `${secure ? "https" : "http"}://127.0.0.1:${port}`
    const daemon = yield* Daemon.make({
      command: "etcd",
      args: [
        `--data-dir=${data}`,
        "--name=t",
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
        `--initial-cluster=t=http://127.0.0.1:${peer}`,
        "--logger=zap",
        ...extra
      ],
      probe: secure ? Daemon.probePort(port) : Daemon.probeHttp(`${url}/health`)
    })
    return EtcdServer.of({ port, endpoint: `127.0.0.1:${port}`, daemon })
  })

export const layer = Layer.effect(EtcdServer, make()).pipe(Layer.provideMerge(NodeServices.layer))
