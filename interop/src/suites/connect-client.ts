/** Our client under the Connect conformance suite: all three protocols, against connect-go's servers and, for gRPC and gRPC-Web, grpc-go's. */
import * as Conformance from "./Conformance.ts"
import type { Suite } from "./Suite.ts"

const part = (name: string, http: 1 | 2, cases: number) =>
  Conformance.part(name, { mode: "client", program: "client.ts", http, cases, seconds: 400 })

export const suite: Suite = {
  name: "connect-client",
  about: "Connect, gRPC and gRPC-Web as a client, by connectrpc.com/conformance",
  parts: [part("HTTP/1.1", 1, 1788), part("HTTP/2", 2, 3026)]
}
