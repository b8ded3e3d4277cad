/** The test contract over what browsers speak, HTTP/1.1 by `fetch`: REST with server-sent events, Connect and gRPC-Web, each an effect. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as assert from "node:assert/strict"
import { check, Wrong } from "./Check.ts"
import { askInterrupted } from "./EchoLive.ts"
import { EchoReplySchema, EchoRequestSchema } from "./gen/test/v1/echo_pb.ts"

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
}

const send = (url: string, headers: Record<string, string>, body?: string | Uint8Array<ArrayBuffer>): Effect.Effect<Answer, Wrong> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, { signal, headers, ...(body === undefined ? undefined : { method: "POST", body }) })
      return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
    },
    catch: (cause) => new Wrong({ message: `${url}: ${String(cause)} ${String((cause as Error).cause ?? "")}` }) // fetch fails with errors
  })

const json = ({ body }: Answer): unknown => JSON.parse(body.toString("utf8"))

const envelope = (message: string | Uint8Array): Buffer<ArrayBuffer> => {
  const bytes = Buffer.from(message)
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([prefix, bytes])
}

/** The parts of an enveloped body: flags and content. */
const envelopes = (body: Buffer): ReadonlyArray<readonly [flags: number, content: Buffer]> => {
  const found: Array<readonly [number, Buffer]> = []
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    found.push([body[at]!, body.subarray(at + 5, end)])
    at = end
  }
  return found
}

const CONNECT = { "content-type": "application/json", "connect-protocol-version": "1" }
const CONNECT_STREAM = { "content-type": "application/connect+json", "connect-protocol-version": "1" }
const GRPC_WEB = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" }

const grpcWeb = (base: string, method: string, request: Parameters<typeof create<typeof EchoRequestSchema>>[1]) =>
  Effect.map(
    send(`${base}/test.v1.Echo/${method}`, GRPC_WEB, envelope(toBinary(EchoRequestSchema, create(EchoRequestSchema, request)))),
    ({ body, headers, status }) => {
      assert.equal(status, 200)
      const parts = envelopes(body)
      const trailers = parts.filter(([flags]) => flags === 0x80).map(([, text]) => text.toString("latin1").toLowerCase())
      return {
        replies: parts.filter(([flags]) => flags === 0).map(([, message]) => fromBinary(EchoReplySchema, message)),
        // an error without a message may come as headers
        status: /grpc-status: ?(\d+)/.exec(trailers.join())?.[1] ?? headers.get("grpc-status")
      }
    }
  )

/** Gives a call up after 300 ms and waits until the server's handler was interrupted. */
const cancelled = (base: string, path: string, headers: Record<string, string>, body: (text: string) => string | Buffer<ArrayBuffer>) =>
  Effect.gen(function* () {
    const text = `http-${path}-${process.pid}-${yield* Clock.currentTimeNanos}`
    yield* Effect.timeoutOption(send(`${base}${path}`, headers, body(text)), "300 millis")
    for (let i = 0; i < 100; i++) {
      const answer = json(yield* send(`${base}/test.v1.Echo/Unary`, CONNECT, JSON.stringify({ text: askInterrupted + text })))
      if ((answer as { readonly index?: number }).index === 1) return // the contract
      yield* Effect.sleep("50 millis")
    }
    return yield* new Wrong({ message: "the handler was not interrupted within 5 s" })
  })

const large = "x".repeat(1 << 20)

/** All cases by name, against a server at a base URL. */
export const cases = (base: string): Readonly<Record<string, Effect.Effect<unknown, unknown>>> => ({
  "REST unary": Effect.flatMap(
    send(`${base}/test/v1/echo`, { "content-type": "application/json" }, JSON.stringify({ text: "hällo", payload: "AQI=" })),
    (answer) =>
      check(() => {
        assert.equal(answer.status, 200)
        assert.deepEqual(json(answer), { text: "hällo", payload: "AQI=", index: 0, metadata: {} })
      })
  ),
  "REST path": Effect.flatMap(send(`${base}/helloworld/b%C3%B6se`, {}), (answer) =>
    check(() => assert.deepEqual(json(answer), { message: "Hello böse" }))
  ),
  "REST error": Effect.flatMap(send(`${base}/helloworld/nobody`, {}), (answer) =>
    check(() => {
      assert.equal(answer.status, 404)
      assert.deepEqual(json(answer), {
        code: 404,
        reason: "USER_NOT_FOUND",
        message: "user nobody was not found",
        metadata: { name: "nobody" }
      })
    })
  ),
  "REST large": Effect.flatMap(
    send(`${base}/test/v1/echo`, { "content-type": "application/json" }, JSON.stringify({ text: large })),
    (answer) => check(() => assert.equal((json(answer) as { readonly text: string }).text.length, large.length))
  ),
  "REST stream": Effect.flatMap(send(`${base}/test/v1/echo/s:stream?count=3`, { accept: "text/event-stream" }), ({ body, headers }) =>
    check(() => {
      assert.match(headers.get("content-type") ?? "", /^text\/event-stream/)
      assert.deepEqual(
        [...body.toString("utf8").matchAll(/"index":\s*(\d+)/g)].map(([, index]) => index),
        ["0", "1", "2"]
      )
    })
  ),
  "REST cancel": cancelled(base, "/test/v1/echo", { "content-type": "application/json" }, (text) =>
    JSON.stringify({ text, delayMs: 60_000 })
  ),
  "Connect unary": Effect.flatMap(send(`${base}/test.v1.Echo/Unary`, CONNECT, JSON.stringify({ text: "c" })), (answer) =>
    check(() => {
      assert.equal(answer.status, 200)
      assert.equal((json(answer) as { readonly text: string }).text, "c")
    })
  ),
  "Connect error": Effect.flatMap(
    send(`${base}/test.v1.Echo/Unary`, CONNECT, JSON.stringify({ text: "c", failReason: "THING_NOT_FOUND" })),
    (answer) =>
      check(() => {
        assert.equal(answer.status, 404)
        const { code, message } = json(answer) as { readonly code: string; readonly message: string }
        assert.deepEqual({ code, message }, { code: "not_found", message: "THING_NOT_FOUND: c" })
      })
  ),
  "Connect deadline": Effect.flatMap(
    send(`${base}/test.v1.Echo/Unary`, { ...CONNECT, "connect-timeout-ms": "200" }, JSON.stringify({ text: "c", delayMs: 60_000 })),
    (answer) => check(() => assert.equal((json(answer) as { readonly code: string }).code, "deadline_exceeded"))
  ),
  "Connect stream": Effect.flatMap(
    send(`${base}/test.v1.Echo/ServerStream`, CONNECT_STREAM, envelope(JSON.stringify({ text: "c", count: 3 }))),
    ({ body }) =>
      check(() => {
        const parts = envelopes(body)
        assert.deepEqual(
          parts.map(([flags]) => flags),
          [0, 0, 0, 2]
        )
        assert.deepEqual(JSON.parse(parts[3]![1].toString("utf8")), {})
      })
  ),
  "Connect stream error": Effect.flatMap(
    send(
      `${base}/test.v1.Echo/ServerStream`,
      CONNECT_STREAM,
      envelope(JSON.stringify({ text: "c", count: 2, failReason: "QUOTA_EXHAUSTED" }))
    ),
    ({ body }) =>
      check(() => {
        const parts = envelopes(body)
        assert.equal(parts.length, 3)
        assert.equal(JSON.parse(parts[2]![1].toString("utf8")).error.code, "resource_exhausted")
      })
  ),
  "Connect cancel": cancelled(base, "/test.v1.Echo/ServerStream", CONNECT_STREAM, (text) =>
    envelope(JSON.stringify({ text, count: 3000, delayMs: 20 }))
  ),
  "gRPC-Web unary": Effect.flatMap(grpcWeb(base, "Unary", { text: "w" }), ({ replies, status }) =>
    check(() => assert.deepEqual([replies.map(({ text }) => text), status], [["w"], "0"]))
  ),
  "gRPC-Web stream": Effect.flatMap(
    grpcWeb(base, "ServerStream", { text: "w", count: 64, payload: new Uint8Array(65_536) }),
    ({ replies, status }) => check(() => assert.deepEqual([replies.length, status], [64, "0"]))
  ),
  "gRPC-Web error": Effect.flatMap(grpcWeb(base, "Unary", { text: "w", failReason: "THING_NOT_FOUND" }), ({ replies, status }) =>
    check(() => assert.deepEqual([replies.length, status], [0, "5"]))
  )
})
