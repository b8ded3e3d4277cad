/** Every peer's client against our server, and our client against every peer's server: one test a case. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cases } from "../src/cases.ts"
import * as Peers from "../src/Peers.ts"
import * as Results from "../src/Results.ts"

const suite = (title: string, server: Peers.Peer, client: Peers.Peer) =>
  describe(title, () => {
    const missing = server.missing ?? client.missing
    if (missing !== undefined) {
      it.skip(`skipped: ${missing}`, () => {})
      return
    }
    let results: Results.Results = new Map()
    beforeAll(async () => {
      results = await Effect.runPromise(Results.collect(server.server, client.client))
    }, 150_000)

    for (const name of cases) {
      it(name, (context) => {
        const result = results.get(name)
        if (server.name === "grpc-js" && name === "gzip-reply") context.skip("the server of grpc-js never compresses")
        if (result?.outcome === "skip") context.skip(result.why)
        assert.deepStrictEqual(result, { outcome: "ok", why: "" })
      })
    }
  })

const ours = Peers.find("ours")

suite("our client and server", ours, ours)
for (const name of ["grpc-js", "go", "python"] as const) {
  const peer = Peers.find(name)
  suite(`our server, the client of ${name}`, ours, peer)
  suite(`our client, the server of ${name}`, peer, ours)
}
