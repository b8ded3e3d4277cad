/** Formats of REST on a whole server: what options say of them, and what Content-Type and Accept choose. */
import { toBinary } from "@bufbuild/protobuf"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Codec from "../../src/codec/Codec.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Msgpack from "../../src/codec/Msgpack.ts"
import type * as Server from "../../src/Server.ts"
import { UserRequestSchema } from "../gen/test/v1/rest_pb.ts"
import { serveRest } from "./RestHarness.ts"

const methods = {
  getUser: ({ postId = 0n, userId = "" }) =>
    userId === "nobody"
      ? Effect.fail(KratosError.notFound("USER_NOT_FOUND", "no such user", { metadata: { id: "7" } }))
      : Effect.succeed({ userId, postId }),
  createWide: ({ color = 0, int64Value = 0n, stringValue = "" }) =>
    Effect.succeed({ stringValue: `${stringValue} ${String(int64Value)} ${color}` }),
  putTags: ({ tags = [] as ReadonlyArray<string> }) => Effect.succeed({ tags: [...tags, "more"] })
}

interface Request {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array<ArrayBuffer>
}

const serve = (options: Omit<Server.Options<[]>, "services"> = {}) =>
  Effect.map(
    serveRest(methods, options, Layer.empty),
    ({ address }) =>
      (path: string, request: Request = {}) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${address.port}${path}`, request)
          return { status: response.status, type: response.headers.get("content-type"), body: Buffer.from(await response.arrayBuffer()) }
        })
  )

const accept = (type: string) => ({ headers: { accept: type } })
const post = (type: string, body: string | Uint8Array<ArrayBuffer>, reply = type) => ({
  method: "POST",
  headers: { "content-type": type, accept: reply },
  body
})

describe("replies", () => {
  it.effect("are in the format that Accept names", () =>
    Effect.gen(function* () {
      const ask = yield* serve()
      for (const [type, body] of [
        ["application/json", '{"userId":"ada","postId":"5","fullView":""}'],
        ["application/protojson", '{"userId":"ada","postId":"5","fullView":""}'],
        ["application/xml", "<UserRequest><UserId>ada</UserId><PostId>5</PostId><FullView></FullView></UserRequest>"],
        ["application/yaml", 'userid: ada\npostid: 5\nfullview: ""\n'],
        ["application/msgpack", Buffer.from("83a6557365724964a3616461a6506f7374496405a846756c6c56696577a0", "hex").toString("latin1")],
        ["application/x-www-form-urlencoded", "postId=5&userId=ada"]
      ] as const) {
        const reply = yield* ask("/v1/users/ada/posts/5", accept(type))
        assert.deepStrictEqual([reply.status, reply.type, reply.body.toString("latin1")], [200, type, body])
      }
    })
  )

  it.effect("may be errors in that format, and problem documents", () =>
    Effect.gen(function* () {
      const ask = yield* serve()
      const problem = yield* ask("/v1/users/nobody/posts/5", accept("application/json, application/problem+json"))
      assert.deepStrictEqual([problem.status, problem.type], [404, "application/problem+json"])
      assert.deepStrictEqual(JSON.parse(problem.body.toString()), {
        type: "urn:reason:USER_NOT_FOUND",
        title: "Not Found",
        status: 404,
        detail: "no such user",
        reason: "USER_NOT_FOUND",
        metadata: { id: "7" }
      })
      assert.strictEqual((yield* ask("/v1/users/ada/posts/5", accept("application/problem+json"))).type, "application/json")
      assert.strictEqual((yield* ask("/nowhere", accept("application/problem+json"))).type, "application/problem+json")
      const xml = yield* ask("/v1/users/nobody/posts/5", accept("application/xml"))
      assert.include(xml.body.toString(), "<Reason>USER_NOT_FOUND</Reason>")
    })
  )
})

describe("requests", () => {
  it.effect("are read by Content-Type", () =>
    Effect.gen(function* () {
      const ask = yield* serve()
      for (const [type, body] of [
        ["application/xml", "<w><StringValue>a</StringValue><Int64Value>9007199254740993</Int64Value><Color>COLOR_RED</Color></w>"],
        ["text/yaml", "string_value: a\nint64value: 9007199254740993\ncolor: 1\n"],
        ["application/json", '{"stringValue":"a","int64_value":9007199254740993,"color":1}'],
        [
          "application/msgpack",
          new Uint8Array(Buffer.from("83ab537472696e6756616c7565a161aa496e74363456616c7565cf0020000000000001a5436f6c6f7201", "hex"))
        ]
      ] as const) {
        const reply = yield* ask("/v1/wide", post(type, body, "application/json"))
        // JSON.parse would have lost the last digit
        assert.strictEqual((JSON.parse(reply.body.toString()) as { stringValue: string }).stringValue, "a 9007199254740993 1", type)
      }
      const tags = yield* ask("/v1/tags/x", { ...post("application/yaml", "- a\n- b\n"), method: "PUT" })
      assert.strictEqual(tags.body.toString(), "- a\n- b\n- more\n")
      const xml = yield* ask("/v1/tags/x", { ...post("application/json", '["a"]', "application/xml"), method: "PUT" })
      assert.deepStrictEqual([xml.type, xml.body.toString()], ["application/json", '["a","more"]'], "XML has no place for a list alone")
    })
  )
})

describe("options", () => {
  it.effect("json: std is the JSON of Kratos v3, both ways, errors included", () =>
    Effect.gen(function* () {
      const ask = yield* serve({ json: "std" })
      const text = ({ body, type }: { body: Buffer; type: string | null }) => [type, body.toString()]
      assert.deepStrictEqual(text(yield* ask("/v1/users/ada/posts/5")), ["application/json", '{"user_id":"ada","post_id":5}'])
      assert.deepStrictEqual(text(yield* ask("/v1/users/ada/posts/5", accept("application/protojson"))), [
        "application/protojson",
        '{"userId":"ada","postId":"5","fullView":""}'
      ])
      const wide = yield* ask("/v1/wide", post("application/json", '{"string_value":"a<","int64_value":9007199254740993}'))
      assert.strictEqual(wide.body.toString(), '{"string_value":"a\\u003c 9007199254740993 0","Choice":null}')
      const quoted = yield* ask("/v1/wide", post("application/json", '{"int64_value":"5"}'))
      assert.strictEqual(
        quoted.body.toString(),
        '{"code":400,"reason":"CODEC","message":"body unmarshal json: int64_value: expected an integer"}'
      )
      assert.strictEqual((yield* ask("/nowhere")).body.toString(), '{"code":404,"message":"no route for /nowhere"}')
    })
  )

  it.effect("codecs adds to the formats, and may replace them", () =>
    Effect.gen(function* () {
      const shouting: Codec.Codec = {
        name: "shout",
        contentType: "text/shout",
        contentTypes: ["text/shout"],
        encode: (schema, message) =>
          Result.map(Json.json.encode(schema, message), (bytes) => Buffer.from(Buffer.from(bytes).toString().toUpperCase())),
        decode: () => Result.fail(Codec.malformed("nobody shouts back"))
      }
      const ask = yield* serve({
        codecs: [shouting, { ...Msgpack.codec, contentType: "application/json", contentTypes: ["application/json"] }]
      })
      assert.strictEqual(
        (yield* ask("/v1/users/ada/posts/5", accept("text/shout"))).body.toString(),
        '{"USERID":"ADA","POSTID":"5","FULLVIEW":""}'
      )
      const refused = yield* ask("/v1/wide", post("text/shout", "x", "application/protojson"))
      assert.include(refused.body.toString(), "nobody shouts back")
      const own = yield* ask("/v1/users/ada/posts/5")
      assert.strictEqual(own.body[0], 0x83, "the default")
      const decoded = Result.getOrThrow(Msgpack.codec.decode(UserRequestSchema, own.body))
      assert.isAbove(toBinary(UserRequestSchema, decoded).length, 0)
    })
  )
})
