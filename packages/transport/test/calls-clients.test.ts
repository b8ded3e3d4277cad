/** The laws of calls hold on every wire of our client. gRPC's own are `calls-memory` and `calls-sockets`. */
import { describe } from "@effect/vitest"
import { clients } from "./Clients.ts"
import { memory, sockets, type Wire } from "./Harness.ts"
import { aspects } from "./laws/Aspects.ts"
import { backPressure, cancellation } from "./laws/Cancellation.ts"
import { deadlines } from "./laws/Deadlines.ts"
import { kinds } from "./laws/Kinds.ts"
import { metadata } from "./laws/Metadata.ts"

for (const { name, options } of clients.slice(1)) {
  const network = options.protocol === "connect" ? sockets : memory
  const wire: Wire = { ...network, name: `${name}, ${network.name}`, client: options }
  describe(`calls over ${wire.name}`, () => {
    kinds(wire)
    metadata(wire)
    deadlines(wire)
    cancellation(wire)
    aspects(wire)
    // calls over HTTP/1.1 have a connection each, and what waits in it is up to the system
    if (options.http !== "1.1") backPressure(wire)
  })
}
