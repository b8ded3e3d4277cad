import { Call } from "@effect-kratos/core/Call"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Forwarded from "../../src/http/Forwarded.ts"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import { Rest } from "../gen/test/v1/rest_effect.ts"
import { serveRest } from "../rest/RestHarness.ts"

const origin = (address: string) => ({ address, endpoint: "http://127.0.0.1:8000", identity: undefined })

const resolve = (trust: Forwarded.Proxies | Forwarded.Options, peer: string, fields: Readonly<Record<string, string>>) => {
  const { address, host, scheme } = Result.getOrThrow(Forwarded.make(trust))(origin(peer), Object.entries(fields).flat())
  return [address, scheme, host]
}

describe("X-Forwarded", () => {
  const fields = {
    "x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.2",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "api.example.org:8443"
  }
  const rows: ReadonlyArray<readonly [trust: Forwarded.Proxies, peer: string, address: string]> = [
    // one proxy: the address that it saw; what is left of it anybody may have written
    [1, "10.0.0.1:5000", "10.0.0.2"],
    [2, "10.0.0.1:5000", "1.2.3.4"],
    [3, "10.0.0.1:5000", "6.6.6.6"],
    [9, "10.0.0.1:5000", "6.6.6.6"],
    [["10.0.0.0/8"], "10.0.0.1:5000", "1.2.3.4"],
    [["10.0.0.0/8", "1.2.3.4"], "10.0.0.1:5000", "6.6.6.6"],
    [["0.0.0.0/0"], "10.0.0.1:5000", "6.6.6.6"],
    // who connects is not a proxy
    [["10.0.0.0/8"], "9.9.9.9:5000", "9.9.9.9:5000"],
    [["10.0.0.0/8"], "[::ffff:10.0.0.1]:5000", "1.2.3.4"],
    [["10.0.0.0/8"], "unix", "1.2.3.4"],
    [["fd00::/8"], "[fd00::1]:5000", "10.0.0.2"],
    [[], "10.0.0.1:5000", "10.0.0.1:5000"]
  ]
  for (const [trust, peer, address] of rows) {
    it(`${JSON.stringify(trust)} from ${peer}`, () => {
      const trusted = address !== peer
      assert.deepStrictEqual(resolve(trust, peer, fields), [
        address,
        trusted ? "https" : undefined,
        trusted ? "api.example.org:8443" : undefined
      ])
    })
  }

  it("takes addresses with ports, of both families", () => {
    for (const [given, expected] of [
      ["1.2.3.4:80", "1.2.3.4:80"],
      ["::1", "[::1]"],
      ["[2001:db8::1]:443", "[2001:db8::1]:443"],
      ["[2001:db8::1]", "[2001:db8::1]"]
    ] as const)
      assert.strictEqual(resolve(1, "10.0.0.1:1", { "x-forwarded-for": given })[0], expected)
  })

  it("believes nothing that is malformed", () => {
    for (const given of ["", "unknown", "1.2.3", "1.2.3.4.5", 'evil"name', "_hidden", "[::1", "x".repeat(5_000)])
      assert.deepStrictEqual(resolve(1, "10.0.0.1:1", { "x-forwarded-for": given }), ["10.0.0.1:1", undefined, undefined], given)
    const odd = { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "javascript", "x-forwarded-host": "a/b?c" }
    assert.deepStrictEqual(resolve(1, "10.0.0.1:1", odd), ["1.2.3.4", undefined, undefined])
    // behind what cannot be read nothing can be trusted
    assert.strictEqual(resolve(5, "10.0.0.1:1", { "x-forwarded-for": "6.6.6.6, unknown, 1.2.3.4" })[0], "1.2.3.4")
    assert.strictEqual(resolve(1000, "10.0.0.1:1", { "x-forwarded-for": "1.1.1.1,".repeat(5_000) + "2.2.2.2" })[0], "1.1.1.1")
  })

  it("takes the scheme and host of the same hop, where there is one for each", () => {
    const each = { "x-forwarded-for": "6.6.6.6, 1.2.3.4", "x-forwarded-proto": "http, https", "x-forwarded-host": "evil.org, good.org" }
    assert.deepStrictEqual(resolve(1, "10.0.0.1:1", each), ["1.2.3.4", "https", "good.org"])
    assert.deepStrictEqual(resolve(2, "10.0.0.1:1", each), ["6.6.6.6", "http", "evil.org"])
  })

  it("is one of two kinds of fields", () => {
    const both = { forwarded: "for=6.6.6.6", "x-forwarded-for": "1.2.3.4" }
    assert.strictEqual(resolve(1, "10.0.0.1:1", both)[0], "1.2.3.4")
    assert.strictEqual(resolve({ proxies: 1, fields: "forwarded" }, "10.0.0.1:1", both)[0], "6.6.6.6")
    assert.strictEqual(resolve(1, "10.0.0.1:1", { forwarded: "for=6.6.6.6" })[0], "10.0.0.1:1")
  })
})

describe("Forwarded", () => {
  const forwarded = (value: string, proxies: Forwarded.Proxies = 1) =>
    resolve({ proxies, fields: "forwarded" }, "10.0.0.1:1", { forwarded: value })
  it("reads the examples of RFC 7239", () => {
    assert.deepStrictEqual(forwarded('For="[2001:db8:cafe::17]:4711"'), ["[2001:db8:cafe::17]:4711", undefined, undefined])
    assert.deepStrictEqual(forwarded("for=192.0.2.60;proto=http;by=203.0.113.43"), ["192.0.2.60", "http", undefined])
    assert.deepStrictEqual(forwarded("for=192.0.2.43, for=198.51.100.17", 2), ["192.0.2.43", undefined, undefined])
    assert.deepStrictEqual(forwarded('for=_gazonk, for=198.51.100.17;host="ex\\ample.org"', 9), ["198.51.100.17", undefined, "example.org"])
    assert.deepStrictEqual(forwarded("for=unknown")[0], "10.0.0.1:1")
  })
  it("believes nothing that is malformed", () => {
    for (const value of [
      "",
      ",",
      "for",
      "for=",
      "for=1.2.3.4 x",
      "for=1.2.3.4;;",
      'for="1.2.3.4',
      "for=1.2.3.4,,for=5.6.7.8",
      "=".repeat(10_000)
    ])
      assert.deepStrictEqual(forwarded(value), ["10.0.0.1:1", undefined, undefined], value.slice(0, 40))
  })
})

describe("a server behind proxies", () => {
  const peers: Array<string> = []
  const methods = {
    deleteWide: () =>
      Effect.map(Call, (call) => {
        peers.push(call.peer)
        return {}
      })
  }
  const seen = (trustProxy: Server.Options<[]>["trustProxy"]) =>
    Effect.gen(function* () {
      const { address } = yield* serveRest(methods, { trustProxy }, Layer.empty)
      peers.length = 0
      const headers = { "x-forwarded-for": "1.2.3.4" }
      yield* Effect.promise(() => fetch(`http://127.0.0.1:${address.port}/v1/wide/a`, { method: "DELETE", headers }))
      return peers[0]
    })

  it.effect("shows the client as the peer, if it may", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* seen(1), "1.2.3.4")
      assert.strictEqual(yield* seen(["127.0.0.0/8"]), "1.2.3.4")
      for (const trust of [undefined, false, ["10.0.0.0/8"]] as const) assert.match((yield* seen(trust))!, /^127\.0\.0\.1:\d+$/)
    })
  )

  it.effect("does not start with an option that means nothing", () =>
    Effect.gen(function* () {
      for (const trustProxy of [0, -1, 1.5, ["10.0.0.0/33"], ["example.org"], ["::/129"], [""]]) {
        const exit = yield* Effect.exit(
          Effect.scoped(
            Layer.build(
              Server.layer({ services: [Rest], port: 0, trustProxy }).pipe(
                Layer.provide(Layer.mock(Rest)({})),
                Layer.provide(Network.layerMemory)
              )
            )
          )
        )
        assert.isTrue(Exit.isFailure(exit), String(trustProxy))
        assert.strictEqual(Exit.isFailure(exit) && exit.cause.reasons[0]?._tag, "Fail")
      }
    })
  )
})
