/** A real ZooKeeper on this machine, of one test or one suite. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import * as net from "node:net"

const jar = "/usr/share/java/zookeeper.jar"

export const skip = Daemon.missing("java") ?? (existsSync(jar) ? undefined : "no zookeeper on this machine")

export class ZookeeperServer extends Context.Service<
  ZookeeperServer,
  {
    readonly port: number
    readonly endpoint: string
    readonly daemon: Daemon.Daemon
    /** Deletes all that it has stored; while it is stopped. */
    readonly wipe: Effect.Effect<void, unknown>
  }
>()("test/ZookeeperServer") {}

/** Succeeds when the server says that it is well. */
const probe = (port: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("ruok"))
    socket
      .setEncoding("utf8")
      .once("data", (text) => resume(String(text) === "imok" ? Effect.void : Effect.fail(text)))
      .once("error", (error) => resume(Effect.fail(error)))
      .once("close", () => resume(Effect.fail("closed")))
    return Effect.sync(() => socket.destroy())
  })

/** `config` goes into zoo.cfg, `properties` to the virtual machine. */
export const make = (
  config: Readonly<Record<string, string | number>> = {},
  options: { readonly properties?: ReadonlyArray<string>; readonly classpath?: string; readonly port?: number; readonly id?: number } = {}
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "zookeeper-" })
    const port = options.port ?? (yield* Daemon.freePort)
    yield* fs.makeDirectory(`${folder}/data`)
    // of a member of an ensemble
    if (options.id !== undefined) yield* fs.writeFileString(`${folder}/data/myid`, String(options.id))
    const lines = {
      tickTime: 500,
      dataDir: `${folder}/data`,
      clientPort: port,
      clientPortAddress: "127.0.0.1",
      "admin.enableServer": "false",
      "4lw.commands.whitelist": "ruok",
      ...config
    }
    yield* fs.writeFileString(
      `${folder}/zoo.cfg`,
      Object.entries(lines)
        .map(([key, value]) => `${key}=${value}\n`)
        .join("")
    )
    const daemon = yield* Daemon.make({
      command: "java",
      args: [
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dzookeeper.jmx.log4j.disable=true",
        "-Dzookeeper.forceSync=no",
        ...(options.properties ?? []),
        "-cp",
        [jar, ...(options.classpath === undefined ? [] : [options.classpath])].join(":"),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        `${folder}/zoo.cfg`
      ],
      probe: probe(port)
    })
    return ZookeeperServer.of({ port, endpoint: `127.0.0.1:${port}`, daemon, wipe: fs.remove(`${folder}/data`, { recursive: true }) })
  })

/** Three that agree with each other. */
export const makeEnsemble = Effect.gen(function* () {
  const ids = [1, 2, 3]
  const members: Record<string, string> = {}
  for (const id of ids) members[`server.${id}`] = `127.0.0.1:${yield* Daemon.freePort}:${yield* Daemon.freePort}`
  return yield* Effect.forEach(ids, (id) => make({ ...members, initLimit: 20, syncLimit: 10 }, { id }), { concurrency: 3 })
})

export const layer = Layer.effect(ZookeeperServer, make()).pipe(Layer.provideMerge(NodeServices.layer))
