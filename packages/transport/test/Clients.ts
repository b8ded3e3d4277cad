/** The wires of our client, for laws that hold on each of them. */
import type * as Client from "../src/Client.ts"

export interface NamedClient {
  readonly name: string
  readonly options: Client.Options
}

export const clients: ReadonlyArray<NamedClient> = [
  { name: "gRPC", options: { protocol: "grpc" } },
  { name: "Connect", options: { protocol: "connect" } }
]
