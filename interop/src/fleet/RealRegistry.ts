/** Real registries for a fleet: started on free ports with nothing in them, gone with the scope, and read by somebody else's tool. */
import * as Daemon from "@effect-kratos/testing/Daemon"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Wrong } from "../Check.ts"
import * as Program from "../Program.ts"
import type { RegistryConfig } from "./FleetConfig.ts"

export type RegistryKind = RegistryConfig["kind"]

export interface RealRegistry {
  readonly config: RegistryConfig
  /** The same for those whose records shall be looked at. */
  readonly observed: RegistryConfig
  /** What is stored for an instance, as text without what differs from run to run; undefined when there is nothing. */
  readonly record: (name: string, id: string) => Effect.Effect<string | undefined, unknown>
  /** Waits until so many instances of a service are told to those who look. */
  readonly listed: (name: string, count: number) => Effect.Effect<void, unknown>
}

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-kratos-fleet-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

const program = (name: string): string => Program.which(name) ?? name

const run = (command: ReadonlyArray<string>) =>
  Effect.flatMap(Program.run(command, { seconds: 20, environment: { ETCDCTL_API: "3" } }), ({ code, stderr, stdout }) =>
    code === 0 ? Effect.succeed(stdout) : Effect.fail(new Wrong({ message: `${command[0]} ended with ${code}: ${stderr}` }))
  )

const get = (url: string) =>
  Effect.tryPromise(async (signal): Promise<unknown> => {
    const response = await fetch(url, { signal })
    return response.status === 404 ? undefined : await response.json()
  })

const etcd = Effect.gen(function* () {
  const data = yield* folder
  const [port, peer] = [yield* Daemon.freePort, yield* Daemon.freePort]
  const url = `http://127.0.0.1:${port}`
  yield* Daemon.make({
    command: program("etcd"),
    args: [
      `--data-dir=${data}`,
      "--name=t",
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=t=http://127.0.0.1:${peer}`
    ],
    probe: Daemon.probeHttp(`${url}/health`)
  })
  const ctl = (...args: ReadonlyArray<string>) => run([program("etcdctl"), `--endpoints=${url}`, ...args, "-w", "json"])
  const record = (name: string, id: string) =>
    Effect.gen(function* () {
      const found = yield* ctl("get", `/microservices/${name}/${id}`)
      const { kvs } = JSON.parse(found) as { readonly kvs?: ReadonlyArray<{ readonly key: string; readonly value: string }> } // etcd's API
      const [entry] = kvs ?? []
      if (entry === undefined) return undefined
      // its digits as they stand: JavaScript's numbers have not enough
      const lease = BigInt(/"lease":(\d+)/.exec(found)?.[1] ?? "0")
      const ttl = /"granted-ttl":(\d+)/.exec(yield* ctl("lease", "timetolive", lease.toString(16)))?.[1]
      const text = (encoded: string) => Buffer.from(encoded, "base64").toString()
      return `${text(entry.key)} = ${text(entry.value)}, for ${ttl} s`
    })
  const config = { kind: "etcd", address: `127.0.0.1:${port}` } as const
  return { config, observed: config, record, listed: () => Effect.void } satisfies RealRegistry
})

const consul = Effect.gen(function* () {
  const data = yield* folder
  const ports = yield* Effect.all([Daemon.freePort, Daemon.freePort, Daemon.freePort, Daemon.freePort, Daemon.freePort])
  const [port, dns, serf, server, grpc] = ports
  const url = `http://127.0.0.1:${port}/v1`
  yield* Daemon.make({
    command: program("consul"),
    args: [
      ..."agent -server -bootstrap -bind 127.0.0.1 -client 127.0.0.1 -serf-wan-port -1 -node t -log-level warn".split(" "),
      `-data-dir=${data}`,
      `-http-port=${port}`,
      `-dns-port=${dns}`,
      `-serf-lan-port=${serf}`,
      `-server-port=${server}`,
      `-grpc-port=${grpc}`
    ],
    // the agent's own leader, elected
    probe: Effect.flatMap(get(`${url}/status/leader`), (leader) =>
      typeof leader === "string" && leader.includes(String(server)) ? Effect.void : Effect.fail(leader)
    )
  })
  const record = (name: string, id: string) =>
    Effect.gen(function* () {
      // the answers of Consul's API
      const service = (yield* get(`${url}/agent/service/${id}`)) as Record<string, unknown> | undefined
      if (service === undefined) return undefined
      const checks = Object.values((yield* get(`${url}/agent/checks`)) as Record<string, Record<string, unknown>>)
      const { ContentHash: _, ...fields } = service
      const made = checks
        .filter(({ ServiceID }) => ServiceID === id)
        .map(({ CheckID, Name, Notes, ServiceName, ServiceTags, Type }) => ({ CheckID, Name, Notes, ServiceName, ServiceTags, Type }))
        .sort((a, b) => (String(a.CheckID) < String(b.CheckID) ? -1 : 1))
      // the agent's API does not tell how often it checks and when it gives up, so what it was told is looked at as well
      const told = {
        register: written(asked.get("/v1/agent/service/register")),
        pass: written(asked.get(`/v1/agent/check/update/service:${id}`))
      }
      return JSON.stringify({ ...fields, checks: made, told }, undefined, 1)
    })
  const { address, asked } = yield* recording(port)
  // an instance is not told before each of its checks has passed, which the agent begins at a random moment of their interval
  const listed = (name: string, count: number) =>
    Effect.flatMap(get(`${url}/health/service/${name}?passing`), (list) =>
      Array.isArray(list) && list.length === count ? Effect.void : Effect.fail(new Wrong({ message: `not ${count} of ${name}` }))
    ).pipe(Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 200 }))
  const config = { kind: "consul", address: `127.0.0.1:${port}` } as const
  return { config, observed: { kind: "consul", address }, record, listed } satisfies RealRegistry
})

/** Passes requests on to an agent and keeps the last body that was put to each path. */
const recording = (agent: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: http.Server; readonly asked: Map<string, string> }>((resume) => {
        const asked = new Map<string, string>()
        const server = http.createServer((request, response) => {
          const { headers, method, url: path = "/" } = request
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            const body = Buffer.concat(chunks)
            const name = decodeURIComponent(new URL(path, "http://agent").pathname)
            // the next one starts anew
            if (name.startsWith("/v1/agent/service/deregister/")) asked.clear()
            else if (method === "PUT") asked.set(name, body.toString())
            const forward = http.request({ host: "127.0.0.1", port: agent, method, path, headers }, (reply) => {
              response.writeHead(reply.statusCode ?? 500, reply.headers)
              reply.pipe(response)
            })
            forward.on("error", () => response.destroy())
            response.on("close", () => forward.destroy())
            forward.end(body)
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, asked })))
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    ({ asked, server }) => ({ asked, address: `127.0.0.1:${(server.address() as net.AddressInfo).port}` }) // it listens on a port
  )

/** What a body says: without what is empty, which Consul takes for absent, and in order of the keys. */
const written = (body: string | undefined): unknown => {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value !== "object" || value === null) return value
    const entries = Object.entries(value)
      .map(([key, field]) => [key, plain(field)] as const)
      .filter(([, field]) => !isEmpty(field))
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  return body === undefined ? undefined : plain(JSON.parse(body))
}

const isEmpty = (field: unknown): boolean =>
  field === null || field === "" || field === false || (typeof field === "object" && Object.keys(field).length === 0)

const jar = "/usr/share/java/zookeeper.jar"

/** Another client of ZooKeeper's, written in Python. */
const reader = `
import json, sys
from kazoo.client import KazooClient
client = KazooClient(hosts=sys.argv[1], timeout=10)
client.start(timeout=10)
found = []
for path in sys.argv[2:]:
    if client.exists(path):
        data, stat = client.get(path)
        acls, _ = client.get_acls(path)
        found.append([path, data.decode(), stat.ephemeralOwner != 0, [[a.perms, a.id.scheme, a.id.id] for a in acls]])
print(json.dumps(found, ensure_ascii=False))
client.stop()
`

const zookeeper = Effect.gen(function* () {
  const data = yield* folder
  const port = yield* Daemon.freePort
  const lines = [
    "tickTime=500",
    `dataDir=${data}/data`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "admin.enableServer=false",
    "4lw.commands.whitelist=ruok"
  ]
  fs.writeFileSync(`${data}/zoo.cfg`, lines.map((line) => `${line}\n`).join(""))
  yield* Daemon.make({
    command: program("java"),
    args: [
      "-Xmx128m",
      "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC",
      "-Dzookeeper.jmx.log4j.disable=true",
      "-Dzookeeper.forceSync=no",
      "-cp",
      jar,
      "org.apache.zookeeper.server.quorum.QuorumPeerMain",
      `${data}/zoo.cfg`
    ],
    probe: well(port)
  })
  const address = `127.0.0.1:${port}`
  const record = (name: string, id: string) =>
    Effect.map(
      run(["/usr/bin/python3", "-c", reader, address, "/microservices", `/microservices/${name}`, `/microservices/${name}/${id}`]),
      (text) => (text.includes(`/microservices/${name}/${id}`) ? text.trim() : undefined)
    )
  const config = { kind: "zookeeper", address } as const
  return { config, observed: config, record, listed: () => Effect.void } satisfies RealRegistry
})

/** Succeeds when ZooKeeper says that it is well. */
const well = (port: number): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("ruok"))
    socket
      .setEncoding("utf8")
      .once("data", (text) => resume(String(text) === "imok" ? Effect.void : Effect.fail(text)))
      .once("error", (error) => resume(Effect.fail(error)))
      .once("close", () => resume(Effect.fail("closed")))
    return Effect.sync(() => socket.destroy())
  })

export const start = { etcd, consul, zookeeper }

const kazoo = () =>
  ["/usr/lib/python3/dist-packages/kazoo", jar].every((file) => fs.existsSync(file))
    ? undefined
    : "zookeeper or python3-kazoo not found; interop/install.sh gets them"

/** What a registry needs that is not there. */
export const missing: Readonly<Record<RegistryKind, () => string | undefined>> = {
  etcd: Program.missing("etcd", "etcdctl"),
  consul: Program.missing("consul"),
  zookeeper: () => Program.missing("java")() ?? kazoo()
}
