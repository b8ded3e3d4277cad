/** Our server under the Connect conformance suite: all three protocols, called by connect-go and, for gRPC, by grpc-go. */
import * as Conformance from "./Conformance.ts"
import type { Suite } from "./Suite.ts"

const part = (name: string, http: 1 | 2, cases: number) =>
  Conformance.part(name, { mode: "server", program: "server.ts", http, cases, seconds: 400 })

export const suite: Suite = {
  name: "connect-server",
  about: "Connect, gRPC and gRPC-Web as a server, by connectrpc.com/conformance",
  parts: [part("HTTP/1.1", 1, 1388), part("HTTP/2", 2, 2412)]
}
