/** Bad input over Connect: each row is answered with an error in the protocol's own form, and the server goes on. */
import { assert, describe, it } from "@effect/vitest"
import { toBinary, create } from "@bufbuild/protobuf"
import * as Effect from "effect/Effect"
import { gzipSync } from "node:zlib"
import { EchoReplySchema, EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import { serve } from "../Harness.ts"
import { type Answer, type Ask, ask, connectStream, connectUnary, envelope, envelopes, type Failure, versions } from "./Ask.ts"

const LIMIT = 1000

const json = { "content-type": "application/json" }
const proto = { "content-type": "application/proto" }
const stream = { "content-type": "application/connect+proto" }
const streamJson = { "content-type": "application/connect+json" }
const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }))
const big = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "x".repeat(LIMIT) }))
const bomb = gzipSync(Buffer.alloc(5_000_000))

type Row = readonly [what: string, request: Omit<Ask, "path"> & { readonly path?: string }, expected: Expected]

interface Expected {
  readonly status: number
  readonly code?: string
  readonly reason?: string
  readonly fields?: Answer["fields"]
}

const unary: ReadonlyArray<Row> = [
  ["no JSON", { fields: json, body: ["{"] }, { status: 400, code: "invalid_argument", reason: "CODEC" }],
  [
    "no UTF-8",
    { fields: json, body: [Buffer.from('{"text":"\xff"}', "latin1")] },
    { status: 400, code: "invalid_argument", reason: "CODEC" }
  ],
  ["JSON of another shape", { fields: json, body: ['{"count":{}}'] }, { status: 400, code: "invalid_argument", reason: "CODEC" }],
  ["JSON that is a list", { fields: json, body: ["[]"] }, { status: 400, code: "invalid_argument", reason: "CODEC" }],
  [
    "JSON number out of range",
    { fields: json, body: ['{"count":4294967296}'] },
    { status: 400, code: "invalid_argument", reason: "CODEC" }
  ],
  ["no JSON at all", { fields: json }, { status: 400, code: "invalid_argument", reason: "CODEC" }],
  ["a truncated message", { fields: proto, body: [Uint8Array.of(10, 5, 1)] }, { status: 400, code: "invalid_argument", reason: "CODEC" }],
  [
    "a wire type that does not exist",
    { fields: proto, body: [Uint8Array.of(15, 1)] },
    { status: 400, code: "invalid_argument", reason: "CODEC" }
  ],
  ["a message over the limit", { fields: proto, body: [big] }, { status: 429, code: "resource_exhausted" }],
  [
    "a message over the limit in parts",
    { fields: proto, body: Array.from({ length: 20 }, () => Buffer.alloc(100)) },
    { status: 429, code: "resource_exhausted" }
  ],
  [
    "a bomb",
    { fields: { ...proto, "content-encoding": "gzip" }, body: [bomb.subarray(0, LIMIT)] },
    { status: 429, code: "resource_exhausted" }
  ],
  [
    "a small bomb",
    { fields: { ...proto, "content-encoding": "gzip" }, body: [gzipSync(Buffer.alloc(50_000))] },
    { status: 429, code: "resource_exhausted" }
  ],
  [
    "gzip that is none",
    { fields: { ...proto, "content-encoding": "gzip" }, body: [message] },
    { status: 400, code: "invalid_argument", reason: "CODEC" }
  ],
  [
    "another compression",
    { fields: { ...proto, "content-encoding": "br" }, body: [message] },
    { status: 501, code: "unimplemented", fields: { "accept-encoding": "gzip" } }
  ],
  [
    "a timeout that is no number",
    { fields: { ...proto, "connect-timeout-ms": "soon" }, body: [message] },
    { status: 400, code: "invalid_argument" }
  ],
  ["a negative timeout", { fields: { ...proto, "connect-timeout-ms": "-1" }, body: [message] }, { status: 400, code: "invalid_argument" }],
  [
    "a timeout of eleven digits",
    { fields: { ...proto, "connect-timeout-ms": "10000000000" }, body: [message] },
    { status: 400, code: "invalid_argument" }
  ],
  [
    "another version",
    { fields: { ...proto, "connect-protocol-version": "2" }, body: [message] },
    { status: 400, code: "invalid_argument" }
  ],
  [
    "no content type",
    { body: [message] },
    { status: 415, fields: { "accept-post": "application/proto, application/json, application/grpc-web, application/grpc-web-text" } }
  ],
  ["another content type", { fields: { "content-type": "text/plain" }, body: [message] }, { status: 415 }],
  ["another charset", { fields: { "content-type": "application/json; charset=latin1" }, body: ["{}"] }, { status: 415 }],
  ["the content type of streams", { fields: stream, body: [envelope(message)] }, { status: 415 }],
  ["GET of a method that is not safe", { method: "GET" }, { status: 405, fields: { allow: "POST" } }],
  ["PUT", { method: "PUT", fields: proto, body: [message] }, { status: 405, fields: { allow: "POST" } }],
  ["OPTIONS without CORS", { method: "OPTIONS" }, { status: 405, fields: { allow: "POST" } }],
  [
    "an unknown method that says it is Connect's",
    { path: "/test.v1.Echo/Nothing", fields: { ...proto, "connect-protocol-version": "1" }, body: [message] },
    { status: 404, code: "unimplemented" }
  ],
  ["an unknown method that does not", { path: "/test.v1.Echo/Nothing", fields: proto, body: [message] }, { status: 404 }]
]

const streaming: ReadonlyArray<Row> = [
  ["flags that do not exist", { fields: stream, body: [envelope(message, 4)] }, { status: 200, code: "internal" }],
  ["the flag of the last envelope", { fields: stream, body: [envelope("{}", 2)] }, { status: 200, code: "internal" }],
  ["a prefix cut short", { fields: stream, body: [envelope(message).subarray(0, 3)] }, { status: 200, code: "internal" }],
  ["a message cut short", { fields: stream, body: [envelope(message).subarray(0, 7)] }, { status: 200, code: "internal" }],
  ["a length over the limit", { fields: stream, body: [envelope("", 0, 4_294_967_295)] }, { status: 200, code: "resource_exhausted" }],
  ["no message", { fields: stream }, { status: 200, code: "unimplemented" }],
  ["two messages", { fields: stream, body: [envelope(message), envelope(message)] }, { status: 200, code: "unimplemented" }],
  [
    "a truncated message",
    { fields: stream, body: [envelope(Uint8Array.of(10, 5, 1))] },
    { status: 200, code: "invalid_argument", reason: "CODEC" }
  ],
  ["no JSON", { fields: streamJson, body: [envelope("{")] }, { status: 200, code: "invalid_argument", reason: "CODEC" }],
  ["compressed without saying how", { fields: stream, body: [envelope(gzipSync(message), 1)] }, { status: 200, code: "internal" }],
  [
    "another compression",
    { fields: { ...stream, "connect-content-encoding": "zstd" }, body: [envelope(message)] },
    { status: 200, code: "unimplemented", fields: { "connect-accept-encoding": "gzip" } }
  ],
  [
    "a small bomb",
    { fields: { ...stream, "connect-content-encoding": "gzip" }, body: [envelope(gzipSync(Buffer.alloc(50_000)), 1)] },
    { status: 200, code: "resource_exhausted" }
  ],
  [
    "a timeout that is no number",
    { fields: { ...stream, "connect-timeout-ms": "" }, body: [envelope(message)] },
    { status: 200, code: "invalid_argument" }
  ],
  [
    "another version",
    { fields: { ...stream, "connect-protocol-version": "x" }, body: [envelope(message)] },
    { status: 200, code: "invalid_argument" }
  ],
  [
    "the content type of unary calls",
    { fields: proto, body: [message] },
    {
      status: 415,
      fields: { "accept-post": "application/connect+proto, application/connect+json, application/grpc-web, application/grpc-web-text" }
    }
  ],
  [
    "an unknown method",
    { path: "/test.v1.Echo/Nothing", fields: stream, body: [envelope(message)] },
    { status: 200, code: "unimplemented" }
  ]
]

const check = (answer: Answer, read: (answer: Answer) => Failure, { code, fields = {}, reason, status }: Expected): void => {
  assert.strictEqual(answer.status, status)
  if (code !== undefined) assert.strictEqual(read(answer).code, code)
  if (reason !== undefined) assert.strictEqual(read(answer).reason, reason)
  for (const [name, value] of Object.entries(fields)) assert.strictEqual(answer.fields[name], value)
}

for (const version of versions) {
  describe(`bad input to Connect over ${version}`, () => {
    for (const [what, request, expected] of unary) {
      it.effect(`unary: ${what}`, () =>
        Effect.gen(function* () {
          const server = yield* serve({ maxMessageBytes: LIMIT })
          check(yield* ask(server, version, { path: "/test.v1.Echo/Unary", ...request }), connectUnary, expected)
          const good = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: json, body: ['{"te', 'xt":"x"}'] })
          assert.strictEqual(JSON.parse(good.body.toString()).text, "x")
        })
      )
    }
    for (const method of ["ServerStream", "ClientStream", "Bidi"]) {
      for (const [what, request, expected] of streaming) {
        // those take any number
        if (method !== "ServerStream" && /^(no message|two messages)$/.test(what)) continue
        it.effect(`${method}: ${what}`, () =>
          Effect.gen(function* () {
            const server = yield* serve({ maxMessageBytes: LIMIT })
            const path = `/test.v1.Echo/${method}`
            check(yield* ask(server, version, { path, ...request }), connectStream, expected)
            // in single bytes
            const body = [...envelope(message)].map((byte) => Uint8Array.of(byte))
            const good = yield* ask(server, version, { path, fields: stream, body })
            assert.strictEqual(connectStream(good).code, undefined)
            assert.strictEqual(envelopes(good.body).length, 2)
          })
        )
      }
    }
  })
}

it.effect("replies are compressed for those who read it, when it is worth it", () =>
  Effect.gen(function* () {
    const server = yield* serve()
    const text = "x".repeat(5000)
    for (const version of versions) {
      const accepts = { ...json, "accept-encoding": "br, gzip;q=0.5" }
      const long = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: accepts, body: [JSON.stringify({ text })] })
      assert.strictEqual(long.fields["content-encoding"], "gzip")
      assert.isBelow(long.body.length, 1000)
      const refused = { ...json, "accept-encoding": "gzip;q=0" }
      const plain = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: refused, body: [JSON.stringify({ text })] })
      assert.strictEqual(JSON.parse(plain.body.toString()).text, text)
      const short = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: accepts, body: ['{"text":"x"}'] })
      assert.strictEqual(short.fields["content-encoding"], undefined)
      const body = [envelope(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text })))]
      const streamed = yield* ask(server, version, {
        path: "/test.v1.Echo/ServerStream",
        fields: { ...stream, "connect-accept-encoding": "gzip" },
        body
      })
      assert.deepStrictEqual(
        envelopes(streamed.body).map(({ flags }) => flags),
        [1, 2]
      )
      assert.isAbove(toBinary(EchoReplySchema, create(EchoReplySchema, { text })).length, envelopes(streamed.body)[0]!.content.length)
    }
  })
)
