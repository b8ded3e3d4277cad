/**
 * Interop clients and servers on the stacks of others: those that gRPC's own projects ship, which are not ours at all, and for stacks whose packages bring none
 * programs in `peers`. How each is started, and which cases it has. Those that need a cloud's
 * credentials, and `cacheable_unary`, which needs a caching proxy that reads gRPC over GET, are left out everywhere.
 */
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as Peers from "../Peers.ts"
import { cache, missing, which } from "../Program.ts"

/** The certificates with which gRPC's projects test: a root, and a server's certificate for `*.test.google.fr`. */
export interface TestCertificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** The name by which clients check that certificate. */
export const SERVER_NAME = "foo.test.google.fr"

export interface Foreign {
  readonly name: string
  readonly missing: () => string | undefined
  readonly cases: ReadonlyArray<string>
  readonly client: (testCase: string, port: number, certificates: TestCertificates | undefined) => ReadonlyArray<string>
  /** Cases of our client that its server has no part in, and why. */
  readonly lacks: Readonly<Record<string, string>>
  readonly server: (port: number, certificates: TestCertificates | undefined) => ReadonlyArray<string>
}

const standard = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service"
]
const soak = ["rpc_soak", "channel_soak"]
/** A soak looks for calls that fail; how long one takes depends on what else the machine does. */
const patience = 10_000
const orca = ["orca_per_rpc", "orca_oob"]

/** Load reports show only to a balancer; both clients bring one for the purpose. */
const balancer = `{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}`
const more = (testCase: string, flag: string): ReadonlyArray<string> => (orca.includes(testCase) ? [`${flag}=${balancer}`] : [])

const looks = "it does not look at the compression of requests"
const compresses = "it does not compress replies when asked"
const noLoad = { orca_per_rpc: "it reports no load", orca_oob: "it reports no load" }
const nameless = "it does not tell its name"

/** grpc-go. */
export const go: Foreign = {
  name: "grpc-go",
  missing: missing("grpc-go-interop-client", "grpc-go-interop-server"),
  cases: [...standard, "special_status_message", "pick_first_unary", ...soak, ...orca],
  client: (testCase, port, certificates) => [
    path.join(cache, "go", "grpc-go-interop-client"),
    "-server_host=127.0.0.1",
    `-server_port=${port}`,
    `-test_case=${testCase}`,
    `-soak_per_iteration_max_acceptable_latency_ms=${patience}`,
    "-soak_overall_timeout_seconds=60",
    ...more(testCase, "-service_config_json"),
    ...(certificates === undefined
      ? []
      : ["-use_tls", "-use_test_ca", `-ca_file=${certificates.ca}`, `-server_host_override=${SERVER_NAME}`])
  ],
  lacks: {
    client_compressed_unary: "it is built without gzip",
    client_compressed_unary_noprobe: "it is built without gzip",
    client_compressed_streaming: "it is built without gzip",
    client_compressed_streaming_noprobe: "it is built without gzip",
    server_compressed_unary: "it is built without gzip",
    server_compressed_streaming: "it is built without gzip",
    pick_first_unary: nameless
  },
  server: (port, certificates) => [
    path.join(cache, "go", "grpc-go-interop-server"),
    `-port=${port}`,
    ...(certificates === undefined ? [] : ["-use_tls", `-tls_cert_file=${certificates.cert}`, `-tls_key_file=${certificates.key}`])
  ]
}

/** What `install.sh` leaves of grpc-java: its jars. */
const jars = path.join(cache, "grpc-java")
// short-lived programs: no time for the optimising compiler, memory for four of them
const java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m", "-cp", path.join(jars, "*")]

/** grpc-java, whose client alone has all cases of compression. It has two stacks: the client is tried on Netty in clear text and on OkHttp over TLS. */
export const grpcJava: Foreign = {
  name: "grpc-java",
  missing: () =>
    missing("java")() ??
    (fs.existsSync(jars) ? undefined : "grpc-java's interop programs not found; interop/install.sh gets them with Maven"),
  cases: [
    ...standard,
    "special_status_message",
    "client_compressed_unary",
    "client_compressed_unary_noprobe",
    "server_compressed_unary",
    "client_compressed_streaming",
    "client_compressed_streaming_noprobe",
    "server_compressed_streaming",
    "very_large_request",
    "pick_first_unary",
    ...soak,
    ...orca
  ],
  client: (testCase, port, certificates) => [
    ...java,
    "io.grpc.testing.integration.TestServiceClient",
    "--server_host=127.0.0.1",
    `--server_port=${port}`,
    `--test_case=${testCase}`,
    `--soak_per_iteration_max_acceptable_latency_ms=${patience}`,
    "--soak_overall_timeout_seconds=60",
    ...more(testCase, "--service_config_json"),
    ...(certificates === undefined
      ? ["--use_tls=false"]
      : ["--use_tls=true", "--use_test_ca=true", "--use_okhttp=true", `--server_host_override=${SERVER_NAME}`])
  ],
  lacks: {
    client_compressed_unary: looks,
    client_compressed_streaming: looks,
    server_compressed_streaming: compresses,
    pick_first_unary: nameless
  },
  server: (port, certificates) => [
    ...java,
    "io.grpc.testing.integration.TestServiceServer",
    `--port=${port}`,
    `--use_tls=${certificates !== undefined}`
  ]
}

/** The folder of the gem `grpc`, with the programs in it; asked of Ruby once. */
let gemFolder: string | undefined
const gem = (): string | undefined => {
  const ruby = which("ruby")
  if (gemFolder !== undefined || ruby === undefined) return gemFolder
  const { stdout } = childProcess.spawnSync(ruby, ["-e", 'puts Gem::Specification.find_by_name("grpc").gem_dir'], { encoding: "utf8" })
  const folder = path.join(stdout.trim(), "src", "ruby")
  return fs.existsSync(path.join(folder, "pb", "test", "client.rb")) ? (gemFolder = folder) : undefined
}

/** gRPC's C core, through Ruby: the programs that Debian's package of the gem brings. Its client has no case of server compression, and no soak. */
export const ruby: Foreign = {
  name: "C core (ruby)",
  missing: () => (gem() === undefined ? "gRPC's interop programs in Ruby not found; interop/install.sh gets them" : undefined),
  cases: [...standard, "client_compressed_unary", "client_compressed_streaming"],
  client: (testCase, port, certificates) => [
    "ruby",
    path.join(gem() ?? "", "pb", "test", "client.rb"),
    "--server_host=127.0.0.1",
    `--server_port=${port}`,
    `--test_case=${testCase}`,
    `--use_tls=${certificates !== undefined}`,
    ...(certificates === undefined ? [] : ["--use_test_ca=true", `--server_host_override=${SERVER_NAME}`])
  ],
  lacks: {
    client_compressed_unary: looks,
    client_compressed_streaming: looks,
    server_compressed_unary: compresses,
    server_compressed_streaming: compresses,
    pick_first_unary: nameless,
    ...noLoad
  },
  server: (port, certificates) => [
    "ruby",
    path.join(gem() ?? "", "pb", "test", "server.rb"),
    `--port=${port}`,
    `--use_tls=${certificates !== undefined}`
  ]
}

/** The certificates come with the gem; undefined without it. */
export const certificates = (): TestCertificates | undefined => {
  const folder = gem()
  if (folder === undefined) return undefined
  const file = (name: string) => path.join(folder, "spec", "testdata", name)
  return { ca: file("ca.pem"), cert: file("server1.pem"), key: file("server1.key") }
}

const peer = (name: string): string => fileURLToPath(new URL(`../../peers/${name}`, import.meta.url))

/** The programs in `peers`: a client takes HOST:PORT CASE [CA NAME], a server PORT [CERT KEY]. */
const own = (command: ReadonlyArray<string>, client: string, server: string): Pick<Foreign, "client" | "server"> => ({
  client: (testCase, port, certificates) => [
    ...command,
    peer(client),
    `127.0.0.1:${port}`,
    testCase,
    ...(certificates === undefined ? [] : [certificates.ca, SERVER_NAME])
  ],
  server: (port, certificates) => [
    ...command,
    peer(server),
    String(port),
    ...(certificates === undefined ? [] : [certificates.cert, certificates.key])
  ]
})

/** grpc-js. */
export const grpcJs: Foreign = {
  name: "grpc-js",
  missing: () => undefined,
  cases: [...standard, "special_status_message", "client_compressed_unary", "client_compressed_streaming", ...soak],
  lacks: {
    client_compressed_unary: looks,
    client_compressed_streaming: looks,
    server_compressed_unary: compresses,
    server_compressed_streaming: compresses,
    ...noLoad
  },
  ...own([process.execPath], "grpc-js/interop-client.ts", "grpc-js/interop-server.ts")
}

/** gRPC's C core, through Python. */
export const python: Foreign = {
  name: "C core (python)",
  missing: () => Peers.find("python").missing,
  cases: [...standard, "special_status_message", "client_compressed_unary", ...soak],
  lacks: { client_compressed_unary: looks, client_compressed_streaming: looks, ...noLoad },
  ...own(["/usr/bin/python3"], "python/interop_client.py", "python/interop_server.py")
}

export const all: ReadonlyArray<Foreign> = [go, grpcJava, ruby, python, grpcJs]
