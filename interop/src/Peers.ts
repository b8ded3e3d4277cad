/** The peers: how each one's client and server are started, and why one cannot be, where it cannot. */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { cache, which } from "./Program.ts"

export interface Peer {
  readonly name: string
  /** Why it cannot run on this machine; undefined when it can. */
  readonly missing: string | undefined
  readonly server: ReadonlyArray<string>
  /** Takes HOST:PORT and, after it, names of cases. */
  readonly client: ReadonlyArray<string>
}

const folder = fileURLToPath(new URL("../peers/", import.meta.url))
const file = (name: string) => path.join(folder, name)
const hint = "run interop/install.sh"

const contract = (): string | undefined =>
  fs.existsSync(path.join(cache, "contract.binpb")) ? undefined : `no descriptors of the contract; ${hint}`

const ours = (): Peer => ({
  name: "ours",
  missing: undefined,
  server: [process.execPath, fileURLToPath(new URL("echo-server.ts", import.meta.url))],
  client: [process.execPath, fileURLToPath(new URL("client.ts", import.meta.url))]
})

const grpcJs = (): Peer => ({
  name: "grpc-js",
  missing: undefined,
  server: [process.execPath, file("grpc-js/server.ts")],
  client: [process.execPath, file("grpc-js/client.ts")]
})

const go = (): Peer => {
  const server = path.join(cache, "go", "server")
  const client = path.join(cache, "go", "client")
  const built = fs.existsSync(server) && fs.existsSync(client)
  return {
    name: "go",
    missing: contract() ?? (built ? undefined : `the Go programs are not built; ${hint}`),
    server: [server],
    client: [client]
  }
}

const python = (): Peer => {
  // Debian's grpcio belongs to Debian's own python, not to another one that may come first on PATH
  const program = fs.existsSync("/usr/bin/python3") ? "/usr/bin/python3" : which("python3")
  const works = program !== undefined && childProcess.spawnSync(program, ["-c", "import grpc, google.protobuf"]).status === 0
  return {
    name: "python",
    missing: contract() ?? (works ? undefined : `python3 has no grpcio; ${hint}`),
    server: [program ?? "python3", file("python/server.py")],
    client: [program ?? "python3", file("python/client.py")]
  }
}

export const names = ["ours", "grpc-js", "go", "python"] as const
export type PeerName = (typeof names)[number]

/** Looks a peer up; it is checked afresh each time. */
export const find = (name: PeerName): Peer => ({ ours, "grpc-js": grpcJs, go, python })[name]()
