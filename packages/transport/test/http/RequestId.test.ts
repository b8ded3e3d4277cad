import { Call, header } from "@effect-kratos/core/Call"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as RequestId from "../../src/http/RequestId.ts"
import * as Server from "../../src/Server.ts"
import { rawClient } from "../Raw.ts"
import { serveRest } from "../rest/RestHarness.ts"

const uuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/

// what a handler sees: the metadata and the annotation of its log lines
const methods = {
  getFile: () =>
    Effect.gen(function* () {
      const annotations = yield* References.CurrentLogAnnotations
      return { name: `${yield* header("x-request-id")} ${String(annotations["requestId"])}`, contentType: (yield* Call).transport }
    }),
  implicit: () =>
    Effect.gen(function* () {
      const annotations = yield* References.CurrentLogAnnotations
      return { id: (yield* header("x-request-id")) ?? "none", note: String(annotations["requestId"]) }
    })
}

describe("isWellFormed", () => {
  it("takes what can be repeated anywhere", () => {
    for (const value of ["a", "7f3c9a", "A.b-c_d~e:f/g+h=i@j", "x".repeat(128)]) assert.isTrue(RequestId.isWellFormed(value), value)
    for (const value of ["", " ", "a b", "a\nb", 'a"', "a,b", "ü", "<a>", "x".repeat(129)])
      assert.isFalse(RequestId.isWellFormed(value), value)
  })
})

describe("a request's name", () => {
  const ask = (options: Server.Options<[]>["requestId"], fields: Record<string, string>, path = "/v1/files/a") =>
    Effect.gen(function* () {
      const { address } = yield* serveRest(methods, { requestId: options }, Layer.empty)
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${address.port}${path}`, { headers: fields }))
      const body = (yield* Effect.promise(() => response.json())) as { readonly name?: string }
      return { reply: response.headers.get("x-request-id"), name: body.name }
    })

  it.effect("is the one that it came with", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask(undefined, { "x-request-id": "mine-1" }), { reply: "mine-1", name: "mine-1 mine-1" })
    })
  )

  it.effect("is one of ours when there is none, or none that can be repeated", () =>
    Effect.gen(function* () {
      for (const fields of [{}, { "x-request-id": "not well-formed" }, { "x-request-id": "x".repeat(200) }]) {
        const { name, reply } = yield* ask(undefined, fields as Record<string, string>)
        assert.match(reply!, uuid)
        assert.strictEqual(name, `${reply} ${reply}`)
      }
      assert.match((yield* ask({ accept: false }, { "x-request-id": "mine" })).reply!, uuid)
      assert.strictEqual((yield* ask({ generate: () => "made" }, {})).reply, "made")
    })
  )

  it.effect("is in replies that no handler gave", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask(undefined, { "x-request-id": "lost" }, "/nowhere")).reply, "lost")
    })
  )

  it.effect("can be called otherwise, or be done without", () =>
    Effect.gen(function* () {
      const other = yield* ask({ header: "X-Correlation-Id" }, { "x-request-id": "a" })
      assert.isNull(other.reply)
      assert.match(other.name!.slice(2), uuid)
      assert.deepStrictEqual(yield* ask(false, { "x-request-id": "a" }), { reply: null, name: "a undefined" })
    })
  )

  it.effect("goes along with gRPC when it comes with it", () =>
    Effect.gen(function* () {
      const server = yield* serveRest(methods)
      const client = rawClient(yield* server.connect)
      const call = (fields: Record<string, string>) => client.send("/test.v1.Rest/Implicit", { fields, body: [new Uint8Array(5)] })
      const named = yield* call({ "x-request-id": "mine-2" })
      assert.strictEqual(named.head["x-request-id"], "mine-2")
      assert.include(named.body.toString("latin1"), "mine-2\u0012\u0006mine-2")
      const plain = yield* call({})
      assert.isUndefined(plain.head["x-request-id"])
      assert.include(plain.body.toString("latin1"), "none")
    })
  )
})
