import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Aspect } from "../../src/Aspect.ts"
import * as MetadataPropagation from "../../src/aspect/MetadataPropagation.ts"
import { AppInfo } from "../../src/Lifecycle.ts"
import * as Metadata from "../../src/Metadata.ts"
import * as CallFixture from "../CallFixture.ts"

type Values = Readonly<Record<string, string | ReadonlyArray<string>>>

/** Serves a call with `headers` and lets the handler make one; returns what goes out. */
const hop = (
  headers: Values,
  handler: { readonly server?: Aspect; readonly client?: Aspect; readonly own?: Values; readonly request?: Values } = {}
) =>
  Effect.gen(function* () {
    const { client = MetadataPropagation.client, own = {}, request = {}, server = MetadataPropagation.server } = handler
    const incoming = CallFixture.make({ request: Metadata.fromRecord(headers) })
    const outgoing = CallFixture.make({ side: "client", request: Metadata.fromRecord(request) })
    const attempt = CallFixture.run(outgoing, client(Effect.void))
    // twice, as a retry does
    yield* CallFixture.run(incoming, server(MetadataPropagation.with(own)(Effect.andThen(attempt, attempt))))
    return Object.fromEntries(outgoing.request)
  })

describe("MetadataPropagation", () => {
  it.effect("passes on what is global, and keeps what is local", () =>
    Effect.gen(function* () {
      const headers = { "x-md-global-tenant": ["a", "b"], "x-md-local-user": "ann", authorization: "secret", cookie: "c" }
      assert.deepStrictEqual(yield* hop(headers), { "x-md-global-tenant": ["a", "b"] })
      const kept = yield* CallFixture.run(
        CallFixture.make({ request: Metadata.fromRecord(headers) }),
        MetadataPropagation.server(MetadataPropagation.Incoming)
      )
      assert.deepStrictEqual(Object.fromEntries(kept), { "x-md-global-tenant": ["a", "b"], "x-md-local-user": ["ann"] })
    })
  )

  it.effect("sends constants first, then the program's own, then the caller's, and never over what the request has", () =>
    Effect.gen(function* () {
      const out = yield* hop(
        { "x-md-global-a": "caller", "x-md-global-b": "caller", "x-md-global-c": "caller", "x-md-global-d": "caller" },
        {
          client: MetadataPropagation.makeClient({ constants: { "X-Md-Global-B": "constant" } }),
          own: { "x-md-global-b": "own", "X-MD-Global-C": "own", anything: "goes" },
          request: { "x-md-global-a": "request" }
        }
      )
      assert.deepStrictEqual(out, {
        "x-md-global-a": ["request"],
        "x-md-global-b": ["constant"],
        "x-md-global-c": ["own"],
        "x-md-global-d": ["caller"],
        anything: ["goes"]
      })
    })
  )

  it.effect("takes other prefixes and constants", () =>
    Effect.gen(function* () {
      const server = MetadataPropagation.makeServer({ prefixes: ["T-"], constants: { "t-always": "1" } })
      const client = MetadataPropagation.makeClient({ prefixes: ["t-"] })
      assert.deepStrictEqual(yield* hop({ "t-id": "7", "x-md-global-a": "no" }, { server, client }), { "t-id": ["7"], "t-always": ["1"] })
      assert.deepStrictEqual(yield* hop({}, { server, client }), { "t-always": ["1"] })
    })
  )

  it.effect("nests, the inner value replacing the outer", () =>
    Effect.gen(function* () {
      const outgoing = yield* MetadataPropagation.Outgoing.pipe(
        MetadataPropagation.with({ a: "inner", b: "inner" }),
        MetadataPropagation.with({ a: "outer", c: "outer" })
      )
      assert.deepStrictEqual(Object.fromEntries(outgoing), { a: ["inner"], b: ["inner"], c: ["outer"] })
      assert.strictEqual((yield* MetadataPropagation.Outgoing).size, 0)
    })
  )

  it.effect("forgets the metadata of an outer call when it serves another one inside it", () =>
    Effect.gen(function* () {
      const inner = CallFixture.run(CallFixture.make(), MetadataPropagation.server(MetadataPropagation.Incoming))
      const outer = CallFixture.make({ request: Metadata.fromRecord({ "x-md-global-a": "1" }) })
      assert.strictEqual((yield* CallFixture.run(outer, MetadataPropagation.server(inner))).size, 0)
    })
  )

  it.effect("names the caller", () =>
    Effect.gen(function* () {
      const info = { id: "1", name: "greeter", version: "1", metadata: {}, endpoints: [] }
      assert.deepStrictEqual(yield* hop({}).pipe(Effect.provideService(AppInfo, info)), { "x-md-service-name": ["greeter"] })
      const client = MetadataPropagation.makeClient({ serviceName: "other" })
      assert.deepStrictEqual(yield* hop({}, { client }).pipe(Effect.provideService(AppInfo, info)), { "x-md-service-name": ["other"] })
      assert.deepStrictEqual(yield* hop({}), {})
      // one hop only
      assert.deepStrictEqual(yield* hop({ "x-md-service-name": "upstream" }), {})
    })
  )
})
