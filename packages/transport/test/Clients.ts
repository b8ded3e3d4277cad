/** The wires of our client, for laws that hold on each of them. */
import type * as Client from "../src/Client.ts"

export interface NamedClient {
  readonly name: string
  readonly options: Client.Options
}

const client = (name: string, options: Client.Options): NamedClient => ({ name, options })

export const clients: ReadonlyArray<NamedClient> = [
  client("gRPC", {}),
  client("gRPC in JSON", { codec: "json" }),
  client("gRPC-Web", { protocol: "grpc-web" }),
  client("gRPC-Web in JSON, HTTP/1.1, compressed", { protocol: "grpc-web", codec: "json", http: "1.1", compression: "gzip" }),
  client("Connect", { protocol: "connect" }),
  client("Connect in JSON, compressed", { protocol: "connect", codec: "json", compression: "gzip" }),
  client("Connect, HTTP/1.1", { protocol: "connect", http: "1.1" })
]
