/** Compressed bodies, over both versions of HTTP on sockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as zlib from "node:zlib"
import * as Compression from "../../src/http/Compression.ts"
import { serveRest } from "../rest/RestHarness.ts"

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
}

interface Request {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array
}

type Send = (port: number, path: string, request?: Request) => Effect.Effect<Answer>

const http1: Send = (port, path, { body, headers = {}, method = "GET" } = {}) =>
  Effect.callback((resume) => {
    const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }))
      )
    })
    request.end(body)
  })

const httpTwo: Send = (port, path, { body, headers = {}, method = "GET" } = {}) =>
  Effect.callback((resume) => {
    const session = http2.connect(`http://127.0.0.1:${port}`)
    const stream = session.request({ ":method": method, ":path": path, ...headers })
    const chunks: Array<Buffer> = []
    let head: http.IncomingHttpHeaders & { readonly ":status"?: number | undefined } = {}
    stream.on("response", (fields) => (head = fields))
    stream.on("data", (chunk: Buffer) => chunks.push(chunk))
    stream.on("end", () => {
      session.close()
      resume(Effect.succeed({ status: head[":status"] ?? 0, headers: head, body: Buffer.concat(chunks) }))
    })
    stream.end(body)
  })

const long = "abcdefgh".repeat(500)
const sockets = Layer.empty

const methods = {
  // the length that is asked for
  getFile: ({ name = "" }) => Effect.succeed({ name: long.repeat(Math.ceil(Number(name) / long.length)).slice(0, Number(name)) }),
  download: ({ name = "" }) => Effect.succeed({ contentType: name.replace("-", "/"), data: Buffer.from(long) }),
  createWide: ({ stringValue = "" }) => Effect.succeed({ int32Value: stringValue.length, stringValue: stringValue.slice(0, 3) })
}

const decode = ({ body, headers }: Answer): string => {
  switch (headers["content-encoding"]) {
    case "gzip":
      return zlib.gunzipSync(body).toString()
    case "br":
      return zlib.brotliDecompressSync(body).toString()
    case "zstd":
      return zlib.zstdDecompressSync(body).toString()
    default:
      return body.toString()
  }
}

describe("negotiate", () => {
  const all: ReadonlyArray<Compression.Encoding> = ["zstd", "br", "gzip"]
  const rows: ReadonlyArray<readonly [header: string | undefined, chosen: string | undefined, identity: boolean]> = [
    [undefined, undefined, true],
    ["", undefined, true],
    ["identity", undefined, true],
    ["gzip", "gzip", true],
    ["x-gzip", "gzip", true],
    ["GZIP", "gzip", true],
    ["gzip, deflate, br", "br", true],
    ["gzip, deflate, br, zstd", "zstd", true],
    ["gzip;q=1.0, br;q=0.5", "gzip", true],
    ["gzip;q=0", undefined, true],
    ["gzip;q=0, *", "zstd", true],
    ["*;q=0", undefined, true],
    ["*;q=0, gzip", "gzip", false],
    ["identity;q=0, gzip", "gzip", false],
    ["identity;q=0", undefined, true],
    ["identity, gzip;q=0.5", undefined, true],
    ["identity;q=0.5, gzip;q=1", "gzip", true],
    ["gzip;q=2, br;q=0.1", "br", true],
    ["gzip ; q = 0.3", "gzip", true],
    [`${"x,".repeat(40)}gzip`, undefined, true]
  ]
  for (const [header, chosen, identity] of rows)
    it(String(header).slice(0, 40), () => assert.deepStrictEqual(Compression.negotiate(header, all), { chosen: chosen as never, identity }))
})

for (const [version, send] of [
  ["HTTP/1.1", http1],
  ["HTTP/2", httpTwo]
] as const) {
  describe(`replies over ${version}`, () => {
    it.effect("are compressed as the client asks, and tell caches", () =>
      Effect.gen(function* () {
        const { address } = yield* serveRest(methods, {}, sockets)
        const get = (path: string, accept?: string) =>
          send(address.port, path, accept === undefined ? {} : { headers: { "accept-encoding": accept } })
        for (const encoding of ["gzip", "br", "zstd"]) {
          const answer = yield* get("/v1/files/5000", encoding)
          assert.strictEqual(answer.headers["content-encoding"], encoding)
          assert.strictEqual(answer.headers["content-length"], String(answer.body.length))
          assert.strictEqual(answer.headers["vary"], "accept-encoding")
          assert.isBelow(answer.body.length, 500)
          assert.include(decode(answer), "abcdefgh".repeat(600))
        }
        const plain = yield* get("/v1/files/5000")
        assert.deepStrictEqual([plain.headers["content-encoding"], plain.headers["vary"]], [undefined, "accept-encoding"])
        assert.isAbove(plain.body.length, 5000)
        const short = yield* get("/v1/files/500", "gzip")
        assert.deepStrictEqual([short.headers["content-encoding"], short.headers["vary"]], [undefined, undefined])
        assert.strictEqual((yield* get("/v1/files/500", "gzip, identity;q=0")).headers["content-encoding"], "gzip")
      })
    )

    it.effect("are compressed off the main thread when they are large", () =>
      Effect.gen(function* () {
        const { address } = yield* serveRest(methods, {}, sockets)
        for (const encoding of ["gzip", "br", "zstd"]) {
          const answer = yield* send(address.port, "/v1/files/300000", { headers: { "accept-encoding": encoding } })
          assert.strictEqual(answer.headers["content-encoding"], encoding)
          assert.isAbove(decode(answer).length, 300_000)
        }
        const head = yield* send(address.port, "/v1/files/300000", { method: "HEAD", headers: { "accept-encoding": "gzip" } })
        assert.deepStrictEqual([head.status, head.headers["content-encoding"], head.body.length], [200, "gzip", 0])
      })
    )

    it.effect("stay as they are when they are compressed already, or when nobody wants it", () =>
      Effect.gen(function* () {
        const { address } = yield* serveRest(methods, {}, sockets)
        const headers = { "accept-encoding": "gzip" }
        for (const [type, encoding] of [
          ["image-png", undefined],
          ["application-zip", undefined],
          ["video-mp4", undefined],
          ["application-octet-stream", undefined],
          ["text-plain; charset=utf-8", "gzip"],
          ["text-event-stream", undefined],
          ["image-svg+xml", "gzip"],
          ["application-ld+json", "gzip"]
        ] as const) {
          const answer = yield* send(address.port, `/v1/downloads/${encodeURIComponent(type)}`, { headers })
          assert.strictEqual(answer.headers["content-encoding"], encoding, type)
          assert.strictEqual(decode(answer), long)
        }
        const off = yield* serveRest(methods, { compression: false }, sockets)
        const answer = yield* send(off.address.port, "/v1/files/5000", { headers })
        assert.deepStrictEqual([answer.headers["content-encoding"], answer.headers["vary"]], [undefined, undefined])
        const only = yield* serveRest(methods, { compression: { encodings: ["gzip"], minBytes: 1 } }, sockets)
        const own = yield* send(only.address.port, "/v1/files/5", { headers: { "accept-encoding": "br, gzip;q=0.1" } })
        assert.strictEqual(own.headers["content-encoding"], undefined, "it would be longer")
        const gzip = yield* send(only.address.port, "/v1/files/500", { headers: { "accept-encoding": "br, gzip;q=0.1" } })
        assert.strictEqual(gzip.headers["content-encoding"], "gzip")
      })
    )
  })

  describe(`requests over ${version}`, () => {
    const post = (port: number, encoding: string, body: Uint8Array) =>
      send(port, "/v1/wide", { method: "POST", headers: { "content-type": "application/json", "content-encoding": encoding }, body })
    const json = (length: number) => Buffer.from(JSON.stringify({ stringValue: "x".repeat(length) }))

    it.effect("are read in every encoding", () =>
      Effect.gen(function* () {
        const { address } = yield* serveRest(methods, {}, sockets)
        // not compressible, so that it is large in either form
        const noise = Buffer.from(
          JSON.stringify({ stringValue: Array.from({ length: 40_000 }, (_, i) => ((i * 7919) % 36).toString(36)).join("") })
        )
        for (const [encoding, compress] of [
          ["gzip", zlib.gzipSync],
          ["X-GZIP", zlib.gzipSync],
          ["deflate", zlib.deflateSync],
          ["br", zlib.brotliCompressSync],
          ["zstd", zlib.zstdCompressSync],
          ["identity", (bytes: Buffer) => bytes],
          ["gzip, identity", zlib.gzipSync]
        ] as const) {
          const answer = yield* post(address.port, encoding, compress(json(5_000)))
          assert.strictEqual((JSON.parse(decode(answer)) as { int32Value: number }).int32Value, 5_000, encoding)
        }
        const level0 = zlib.gzipSync(noise, { level: 0 })
        assert.isAbove(level0.length, 20_000)
        assert.strictEqual((JSON.parse(decode(yield* post(address.port, "gzip", level0))) as { int32Value: number }).int32Value, 40_000)
      })
    )

    it.effect("may be neither bombs nor broken nor unknown", () =>
      Effect.gen(function* () {
        const { address } = yield* serveRest(methods, { maxBodyBytes: 100_000 }, sockets)
        const check = (answer: Answer, code: number, reason: string, message: string) => {
          assert.strictEqual(answer.status, code)
          const body = JSON.parse(decode(answer)) as { reason: string; message: string }
          assert.strictEqual(body.reason, reason)
          assert.include(body.message, message)
        }
        for (const [encoding, compress] of [
          ["gzip", zlib.gzipSync],
          ["br", zlib.brotliCompressSync],
          ["zstd", zlib.zstdCompressSync]
        ] as const) {
          check(yield* post(address.port, encoding, compress(json(20_000_000))), 413, "", "100000 bytes")
          check(yield* post(address.port, encoding, Buffer.from("not that")), 400, "CODEC", "content encoding")
          check(yield* post(address.port, encoding, compress(json(5_000)).subarray(0, 20)), 400, "CODEC", "content encoding")
        }
        for (const encoding of ["compress", "gzip, br", "x".repeat(500)]) {
          const answer = yield* post(address.port, encoding, json(10))
          check(answer, 415, "CODEC", "unsupported content encoding")
          assert.include(String(answer.headers["accept-encoding"]), "gzip")
        }
        assert.strictEqual((yield* post(address.port, "gzip", new Uint8Array(0))).status, 200)
        const off = yield* serveRest(methods, { compression: false }, sockets)
        const answer = yield* post(off.address.port, "gzip", zlib.gzipSync(json(10)))
        check(answer, 415, "CODEC", "unsupported content encoding")
        assert.strictEqual(answer.headers["accept-encoding"], "identity")
      })
    )
  })
}
