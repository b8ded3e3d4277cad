/** Unary calls by GET: all of the request is in the query. */
import { create, toBinary } from "@bufbuild/protobuf"
import { Call } from "@effect-kratos/core/Call"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { gzipSync } from "node:zlib"
import * as Network from "../../src/Network.ts"
import * as Server from "../../src/Server.ts"
import { Catalog } from "../gen/test/v1/catalog_effect.ts"
import { FindRequestSchema } from "../gen/test/v1/catalog_pb.ts"
import { ask, connectUnary, versions } from "./Ask.ts"

const CatalogLive = Catalog.layer({
  *find({ cover, title }) {
    const { deadline, transport } = yield* Call
    return { title: deadline === undefined ? title : `${title} in time`, cover, transport }
  },
  list: ({ title }) => Stream.succeed({ title }),
  *keep({ title }) {
    return { title }
  }
})

const serve = Effect.gen(function* () {
  const context = yield* Layer.build(
    Server.layer({ services: [Catalog], host: "catalog", port: 0, maxMessageBytes: 1000 }).pipe(
      Layer.provide(CatalogLive),
      Layer.provideMerge(Network.layerMemory)
    )
  )
  const network = Context.get(context, Network.Network)
  return { connect: Effect.orDie(network.connect(Context.get(context, Server.Server).address)) }
})

const find = "/test.v1.Catalog/Find"
const bytes = toBinary(FindRequestSchema, create(FindRequestSchema, { title: "ä~", cover: Uint8Array.of(0, 37, 43, 255, 254, 62) }))
const percent = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("")
const base64 = Buffer.from(bytes).toString("base64")
const base64url = Buffer.from(bytes).toString("base64url")
const json = encodeURIComponent('{"title":"ä~ +&","cover":"ACUr//4+"}')

const good: ReadonlyArray<readonly [what: string, query: string, title: string]> = [
  ["bytes in percent-encoding", `connect=v1&encoding=proto&message=${percent}`, "ä~"],
  ["base64 for URLs", `connect=v1&encoding=proto&base64=1&message=${base64url}`, "ä~"],
  [
    "base64 for URLs, padded",
    `connect=v1&encoding=proto&base64=1&message=${base64url}${"=".repeat((4 - (base64url.length % 4)) % 4)}`,
    "ä~"
  ],
  ["base64 of the other alphabet", `encoding=proto&base64=1&message=${encodeURIComponent(base64)}`, "ä~"],
  ["gzip", `encoding=proto&base64=1&compression=gzip&message=${gzipSync(bytes).toString("base64url")}`, "ä~"],
  ["JSON", `connect=v1&encoding=json&message=${json}`, "ä~ +&"],
  ["JSON with + for a space, in another order, with more", `message=%7B%22title%22:%22a+b%22%7D&more=%zz&encoding=json`, "a b"],
  ["JSON as base64", `encoding=json&base64=1&message=${Buffer.from('{"title":"j"}').toString("base64url")}`, "j"],
  ["an empty message", `encoding=proto&message=`, ""],
  ["the first of two", `encoding=json&encoding=proto&message=%7B%7D&message=x`, ""],
  ["base64=0 is not base64", `encoding=json&base64=0&message=%7B%7D`, ""]
]

const bad: ReadonlyArray<readonly [what: string, query: string, status: number, code: string | undefined]> = [
  ["no message", "connect=v1&encoding=json", 400, "invalid_argument"],
  ["no query", "", 400, "invalid_argument"],
  ["bad percent-encoding", "encoding=json&message=%7", 400, "invalid_argument"],
  ["bad hexadecimal digits", "encoding=json&message=%g0", 400, "invalid_argument"],
  ["bad base64", "encoding=proto&base64=1&message=a", 400, "invalid_argument"],
  ["two alphabets in one", "encoding=proto&base64=1&message=-%2B-%2B", 400, "invalid_argument"],
  ["too much padding", "encoding=proto&base64=1&message=AAA==", 400, "invalid_argument"],
  ["no JSON", "encoding=json&message=%7B", 400, "invalid_argument"],
  ["no such protobuf", "encoding=proto&message=%0a%05", 400, "invalid_argument"],
  ["another version", "connect=v2&encoding=json&message=%7B%7D", 400, "invalid_argument"],
  ["another compression", "encoding=json&compression=br&message=%7B%7D", 501, "unimplemented"],
  ["gzip that is none", "encoding=json&compression=gzip&message=%7B%7D", 400, "invalid_argument"],
  ["a message over the limit", `encoding=json&message=%7B%22title%22:%22${"x".repeat(1000)}%22%7D`, 429, "resource_exhausted"],
  ["no encoding", "message=%7B%7D", 415, undefined],
  ["another encoding", "encoding=xml&message=%7B%7D", 415, undefined]
]

for (const version of versions) {
  describe(`unary GET over ${version}`, () => {
    it.effect("requests in every form", () =>
      Effect.gen(function* () {
        const server = yield* serve
        for (const [what, query, title] of good) {
          const answer = yield* ask(server, version, { method: "GET", path: `${find}?${query}` })
          assert.strictEqual(answer.status, 200, what)
          assert.strictEqual(answer.fields["vary"], "accept-encoding", what)
          const isJson = query.includes("encoding=json")
          assert.strictEqual(answer.fields["content-type"], isJson ? "application/json" : "application/proto", what)
          if (isJson) {
            const reply = JSON.parse(answer.body.toString())
            assert.strictEqual(reply.title, title, what)
            assert.strictEqual(reply.transport, "connect", what)
          } else if (title !== "") assert.isTrue(answer.body.includes(Buffer.of(0, 37, 43, 255, 254, 62)), what)
        }
        const fields = { "connect-timeout-ms": "1000" }
        const timed = yield* ask(server, version, { method: "GET", fields, path: `${find}?encoding=json&message=%7B%7D` })
        assert.strictEqual(JSON.parse(timed.body.toString()).title, " in time")
      })
    )

    it.effect("bad input is answered with an error of the protocol", () =>
      Effect.gen(function* () {
        const server = yield* serve
        for (const [what, query, status, code] of bad) {
          const answer = yield* ask(server, version, { method: "GET", path: `${find}?${query}` })
          assert.strictEqual(answer.status, status, what)
          if (code !== undefined) assert.strictEqual(connectUnary(answer).code, code, what)
        }
      })
    )

    it.effect("only for methods that are safe and unary", () =>
      Effect.gen(function* () {
        const server = yield* serve
        const query = "?connect=v1&encoding=json&message=%7B%7D"
        const answers = yield* Effect.forEach(["Keep", "List", "Find"], (method) =>
          ask(server, version, { method: "GET", path: `/test.v1.Catalog/${method}${query}` })
        )
        assert.deepStrictEqual(
          answers.map(({ status }) => status),
          [405, 405, 200]
        )
        assert.strictEqual(answers[0]!.fields["allow"], "POST")
        const put = yield* ask(server, version, { method: "PUT", path: find })
        assert.strictEqual(put.fields["allow"], "GET, POST")
      })
    )
  })
}
