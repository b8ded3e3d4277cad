/** gRPC-Web byte by byte: base64 in any cut, and bad input, which is answered with a status in the protocol's own form. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { gzipSync } from "node:zlib"
import { type Ask, ask, envelope, envelopes, grpcWeb, versions } from "../connect/Ask.ts"
import { EchoReplySchema, EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import { serve } from "../Harness.ts"

const LIMIT = 1000
const web = { "content-type": "application/grpc-web+proto" }
const text = { "content-type": "application/grpc-web-text" }
const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }))
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const whole = base64(envelope(message))

type Row = readonly [what: string, request: Omit<Ask, "path"> & { readonly path?: string }, code: number, reason?: string]

const rows: ReadonlyArray<Row> = [
  ["flags that do not exist", { fields: web, body: [envelope(message, 2)] }, 13],
  ["trailers from a client", { fields: web, body: [envelope(message), envelope("a: b\r\n", 0x80)] }, 13],
  ["a prefix cut short", { fields: web, body: [envelope(message).subarray(0, 4)] }, 13],
  ["a message cut short", { fields: web, body: [envelope(message).subarray(0, 6)] }, 13],
  ["a truncated message", { fields: web, body: [envelope(Uint8Array.of(10, 5, 1))] }, 13, "CODEC"],
  ["no JSON", { fields: { "content-type": "application/grpc-web+json" }, body: [envelope("{")] }, 13, "CODEC"],
  ["no message", { fields: web }, 12],
  ["two messages", { fields: web, body: [envelope(message), envelope(message)] }, 12],
  ["a length over the limit", { fields: web, body: [envelope("", 0, 4_294_967_295)] }, 8],
  ["a small bomb", { fields: { ...web, "grpc-encoding": "gzip" }, body: [envelope(gzipSync(Buffer.alloc(50_000)), 1)] }, 8],
  ["compressed without saying how", { fields: web, body: [envelope(gzipSync(message), 1)] }, 13],
  ["another compression", { fields: { ...web, "grpc-encoding": "br" }, body: [envelope(message)] }, 12],
  ["a timeout without a unit", { fields: { ...web, "grpc-timeout": "12" }, body: [envelope(message)] }, 13],
  ["an unknown method", { path: "/test.v1.Echo/Nothing", fields: web, body: [envelope(message)] }, 12],
  ["an unknown method, as text", { path: "/test.v1.Echo/Nothing", fields: text, body: [whole] }, 12],
  ["a byte that is not base64", { fields: text, body: [whole.replace("A", "*")] }, 13],
  ["base64 for URLs", { fields: text, body: ["_-AA"] }, 13],
  ["base64 that ends inside four", { fields: text, body: [whole.slice(0, 7)] }, 13],
  ["padding at the beginning", { fields: text, body: [`=${whole}AAA`] }, 13],
  ["padding of three", { fields: text, body: ["A===", whole] }, 13],
  ["digits behind padding", { fields: text, body: ["AA=A", whole] }, 13],
  ["white space", { fields: text, body: [`${whole.slice(0, 4)}\r\n${whole.slice(4)}  `] }, 13]
]

for (const version of versions) {
  describe(`gRPC-Web over ${version}`, () => {
    for (const method of ["Unary", "ServerStream"]) {
      for (const [what, request, code, reason = ""] of rows) {
        it.effect(`bad input to ${method}: ${what}`, () =>
          Effect.gen(function* () {
            const server = yield* serve({ maxMessageBytes: LIMIT })
            const path = `/test.v1.Echo/${method}`
            const answer = yield* ask(server, version, { path, ...request })
            assert.strictEqual(answer.status, 200)
            assert.match(answer.fields["content-type"] ?? "", /^application\/grpc-web/)
            const failure = grpcWeb(answer)
            assert.strictEqual(failure.code, code)
            assert.strictEqual(failure.reason, reason)
            assert.notStrictEqual(failure.message, "")
            assert.strictEqual(grpcWeb(yield* ask(server, version, { path, fields: web, body: [envelope(message)] })).code, 0)
          })
        )
      }
    }

    it.effect("a content type that is almost right", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const fields = { "content-type": "application/grpc-web+xml" }
        const answer = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields, body: [envelope(message)] })
        assert.strictEqual(answer.status, 415)
      })
    )

    it.effect("base64 may be cut anywhere and padded anywhere", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const bytes = envelope(message)
        const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => [bytes.subarray(0, i + 1), bytes.subarray(i + 1)])
        const bodies: ReadonlyArray<ReadonlyArray<string>> = [
          [whole],
          [...whole],
          ...Array.from({ length: whole.length - 1 }, (_, i) => [whole.slice(0, i + 1), whole.slice(i + 1)]),
          // each part a text of its own, in one chunk and in two
          ...cuts.map((parts) => [parts.map(base64).join("")]),
          ...cuts.map((parts) => parts.map(base64))
        ]
        for (const body of bodies) {
          const answer = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields: text, body })
          assert.strictEqual(answer.fields["content-type"], "application/grpc-web-text+proto")
          assert.strictEqual(grpcWeb(answer).code, 0)
          const [reply] = envelopes(Buffer.from(answer.body.toString(), "base64"))
          assert.strictEqual(fromBinary(EchoReplySchema, reply!.content).text, "hi")
        }
      })
    )

    it.effect("each part of a stream is a text of its own, so that no byte waits for the next message", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const request = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "s", count: 3 }))
        const path = "/test.v1.Echo/ServerStream"
        const answer = yield* ask(server, version, { path, fields: text, body: [base64(envelope(request))] })
        const bytes = (answer.body.toString().match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, "base64"))
        const all = envelopes(Buffer.concat(bytes))
        assert.deepStrictEqual(
          all.map(({ flags }) => flags),
          [0, 0, 0, 0x80]
        )
        assert.strictEqual(fromBinary(EchoReplySchema, all[2]!.content).index, 2)
        assert.strictEqual(all[3]!.content.toString(), "grpc-status: 0\r\n")
      })
    )

    it.effect("replies are compressed for those who read it", () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const long = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "x".repeat(5000) }))
        const fields = { ...web, "grpc-accept-encoding": "identity,gzip" }
        const answer = yield* ask(server, version, { path: "/test.v1.Echo/Unary", fields, body: [envelope(long)] })
        assert.strictEqual(answer.fields["grpc-encoding"], "gzip")
        assert.deepStrictEqual(
          envelopes(answer.body).map(({ flags }) => flags),
          [1, 0x80]
        )
        assert.isBelow(answer.body.length, 1000)
      })
    )
  })
}
