/**
 * Messages that lie: lengths that are not true, small ones that become large, tiny ones in great number, text that is no UTF-8. Each is refused in the
 * form of its protocol, the server goes on, and what is held is bounded by what has come.
 */
import { assert, describe, it } from "@effect/vitest"
import { create, toBinary } from "@bufbuild/protobuf"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as zlib from "node:zlib"
import { ask, versions } from "../connect/Ask.ts"
import { EchoRequestSchema } from "../gen/test/v1/echo_pb.ts"
import { implement, serve, settles, turn } from "../Harness.ts"
import { framed, grpcMessage, grpcStatus, rawClient } from "../Raw.ts"
import { held } from "./Heap.ts"
import * as Peer from "./Http2Peer.ts"

const LIMIT = 100_000
const UNARY = "/test.v1.Echo/Unary"
const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "hi" }))
/** 32 MiB of zeros. */
const zeros = Buffer.alloc(32 * 1024 * 1024)
const MIB = 1024 * 1024

const made = new Map<string, Buffer>()

const bombOf = (encoding: string): Buffer => {
  let bomb = made.get(encoding)
  if (bomb === undefined) made.set(encoding, (bomb = compress(encoding)))
  return bomb
}

const compress = (encoding: string): Buffer => {
  if (encoding === "gzip") return zlib.gzipSync(zeros)
  if (encoding === "deflate") return zlib.deflateSync(zeros)
  if (encoding === "zstd") return zlib.zstdCompressSync(zeros)
  return zlib.brotliCompressSync(zeros, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })
}

describe("lying lengths of gRPC", () => {
  it.effect("a length above the limit is RESOURCE_EXHAUSTED at its prefix; one that is not kept is INTERNAL", () =>
    Effect.gen(function* () {
      const server = yield* serve({ maxMessageBytes: LIMIT })
      const { send } = rawClient(yield* Peer.open(server))
      for (const [body, status] of [
        [framed(Buffer.alloc(0), 0, 4_294_967_295), 8],
        [framed(Buffer.alloc(0), 0, LIMIT + 1), 8],
        [framed(message, 0, message.length + 1), 13],
        [framed(message, 0, message.length - 1), 13],
        [framed(message).subarray(0, 4), 13],
        [framed(Buffer.concat([message, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f])])), 13],
        [Buffer.concat([framed(message), framed(message)]), 12]
      ] as const) {
        const outcome = yield* send(UNARY, { body: [body] })
        assert.strictEqual(grpcStatus(outcome), status, grpcMessage(outcome))
      }
      assert.strictEqual(grpcStatus(yield* send(UNARY, { body: [framed(message)] })), 0)
    })
  )

  it.effect("a length that is announced and not sent takes no memory: 200 messages of 4 MiB, less than 4 MiB", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { connection, send } = rawClient(yield* Peer.open(server))
      assert.strictEqual(grpcStatus(yield* send(UNARY, { body: [framed(message)] })), 0)
      const before = yield* held
      for (let i = 0; i < 200; i++) {
        const fiber = yield* Effect.forkChild(
          send("/test.v1.Echo/ClientStream", { body: [framed(Buffer.alloc(10), 0, 4 * MIB)], open: true })
        )
        assert.isDefined(fiber)
      }
      yield* settles(() => connection.openStreams)
      assert.strictEqual(connection.openStreams, 200)
      assert.isBelow((yield* held) - before, 4 * MIB)
    })
  )
})

describe("decompression bombs", () => {
  for (const encoding of ["gzip", "deflate"]) {
    it.effect(`gRPC, ${encoding}: RESOURCE_EXHAUSTED; less than 8 MiB for 32 MiB`, () =>
      Effect.gen(function* () {
        const server = yield* serve({ maxMessageBytes: LIMIT })
        const { send } = rawClient(yield* Peer.open(server))
        const bomb = framed(bombOf(encoding), 1)
        const before = yield* held
        for (const path of [UNARY, "/test.v1.Echo/ClientStream", "/test.v1.Echo/Bidi"]) {
          const outcome = yield* send(path, { fields: { "grpc-encoding": encoding }, body: [bomb] })
          assert.strictEqual(grpcStatus(outcome), 8, grpcMessage(outcome))
        }
        assert.isBelow((yield* held) - before, 8 * MIB)
        assert.strictEqual(grpcStatus(yield* send(UNARY, { body: [framed(message)] })), 0)
      })
    )
  }

  for (const version of versions) {
    for (const encoding of ["gzip", "deflate", "br", "zstd"]) {
      it.effect(`REST over ${version}, ${encoding}: 413`, () =>
        Effect.gen(function* () {
          const server = yield* serve({ maxBodyBytes: LIMIT })
          const fields = { "content-type": "application/json", "content-encoding": encoding }
          const answer = yield* ask(server, version, { path: "/test/v1/echo", fields, body: [bombOf(encoding)] })
          assert.strictEqual(answer.status, 413)
          const small = Buffer.from('{"text":"hi"}')
          const plain = yield* ask(server, version, {
            path: "/test/v1/echo",
            fields: { "content-type": "application/json" },
            body: [small]
          })
          assert.strictEqual(plain.status, 200)
        })
      )
    }

    it.effect(`Connect over ${version}, gzip: resource_exhausted`, () =>
      Effect.gen(function* () {
        const server = yield* serve({ maxMessageBytes: LIMIT })
        const fields = { "content-type": "application/proto", "content-encoding": "gzip" }
        const answer = yield* ask(server, version, { path: UNARY, fields, body: [bombOf("gzip")] })
        assert.strictEqual(answer.status, 429)
        assert.include(answer.body.toString(), "resource_exhausted")
      })
    )
  }
})

describe("messages in great number", () => {
  /** A handler that takes nothing until it is told, and then all. */
  const slow = Effect.gen(function* () {
    const go = yield* Deferred.make<void>()
    const server = yield* serve({
      implementation: implement({
        clientStream: (requests) =>
          Effect.andThen(
            Deferred.await(go),
            Stream.runFold(
              requests,
              () => 0,
              (sum, { payload }) => sum + 1 + payload.length
            )
          ).pipe(Effect.map((index) => ({ index })))
      })
    })
    return { go, server }
  })

  it.effect("empty messages that nobody takes: the window as bytes, 64 KiB as messages; less than 2 MiB, and none is lost", () =>
    Effect.gen(function* () {
      const { go, server } = yield* slow
      const peer = yield* Peer.connect(server)
      peer.write(Peer.frame(Peer.HEADERS, Peer.END_HEADERS, 1, Peer.request("/test.v1.Echo/ClientStream")))
      yield* turn
      const before = yield* held
      // five bytes each: what would be 50,000 messages of a hundred bytes or more
      const part = Peer.frame(Peer.DATA, 0, 1, Buffer.alloc(16_000))
      for (let i = 0; i < 16; i++) peer.write(part)
      yield* settles(() => peer.counts.bytes)
      assert.isBelow((yield* held) - before, 2 * MIB)
      yield* Deferred.succeed(go, undefined)
      peer.write(Peer.frame(Peer.DATA, Peer.END_STREAM, 1))
      const reply = yield* replyOf(peer)
      assert.strictEqual(reply, 16 * 3200)
    })
  )

  it.effect("bombs that nobody takes: one is decompressed, the others wait as they came; less than 8 MiB, and none is lost", () =>
    Effect.gen(function* () {
      const { go, server } = yield* slow
      const peer = yield* Peer.connect(server)
      peer.write(Peer.frame(Peer.HEADERS, Peer.END_HEADERS, 1, Peer.request("/test.v1.Echo/ClientStream", [["grpc-encoding", "gzip"]])))
      yield* turn
      const before = yield* held
      const size = 3 * MIB
      const bomb = framed(zlib.gzipSync(toBinary(EchoRequestSchema, create(EchoRequestSchema, { payload: new Uint8Array(size) }))), 1)
      for (let i = 0; i < 30; i++) peer.write(Peer.frame(Peer.DATA, 0, 1, bomb))
      yield* settles(() => peer.counts.bytes)
      assert.isBelow((yield* held) - before, 8 * MIB)
      yield* Deferred.succeed(go, undefined)
      peer.write(Peer.frame(Peer.DATA, Peer.END_STREAM, 1))
      assert.strictEqual(yield* replyOf(peer), 30 * (size + 1))
    })
  )

  for (const version of versions) {
    it.effect(`a body in parts of a byte over ${version}: less than 4 MiB for 300,000 bytes`, () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const duplex = yield* Peer.open(server)
        const bytes = 300_000
        const before = yield* held
        const json = `{"text":"${"x".repeat(bytes)}"}`
        if (version === "HTTP/1.1") {
          let text = ""
          duplex.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")))
          duplex.write("POST /test/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
          for (let at = 0; at < json.length; at += 5000) {
            duplex.write(
              Array.from(json.slice(at, at + 5000))
                .map((one) => `1\r\n${one}\r\n`)
                .join("")
            )
            yield* turn
          }
          assert.isBelow((yield* held) - before, 4 * MIB)
          duplex.write("0\r\n\r\n")
          yield* settles(() => text.length)
          assert.match(text, /^HTTP\/1\.1 200 /)
          assert.isAbove(text.length, bytes)
        } else {
          const peer = Peer.over(duplex)
          const head = Peer.block([
            [":method", "POST"],
            [":scheme", "http"],
            [":path", "/test/v1/echo"],
            [":authority", "a"],
            ["content-type", "application/json"]
          ])
          peer.write(Peer.frame(Peer.HEADERS, Peer.END_HEADERS, 1, head))
          for (let at = 0; at < json.length; at += 5000) {
            peer.write(...Array.from(json.slice(at, at + 5000)).map((one) => Peer.frame(Peer.DATA, 0, 1, Buffer.from(one))))
            yield* turn
          }
          assert.isBelow((yield* held) - before, 4 * MIB)
          peer.write(Peer.frame(Peer.DATA, Peer.END_STREAM, 1))
          yield* settles(() => peer.counts.bytes)
          // the window of the client that it keeps to
          assert.isAbove(peer.counts.bytes, 65_000)
        }
        duplex.destroy()
      })
    )
  }
})

/** The `index` of the one reply. */
const replyOf = (peer: Peer.Http2Peer): Effect.Effect<number> =>
  Effect.gen(function* () {
    yield* settles(() => peer.told.filter(({ flags, type }) => type === Peer.HEADERS && (flags & Peer.END_STREAM) !== 0).length)
    const sent = Buffer.concat(peer.told.filter(({ type }) => type === Peer.DATA).map(({ payload }) => payload))
    const body = sent[0] === 1 ? zlib.gunzipSync(sent.subarray(5)) : sent.subarray(5)
    // field 3, a varint
    assert.strictEqual(body[0], 0x18, `no reply: ${JSON.stringify(peer.told)}`)
    let value = 0
    for (let i = 1; i < body.length; i++) value += (body[i]! & 127) * 2 ** (7 * (i - 1))
    return value
  })

describe("text that is no UTF-8", () => {
  const bad = Buffer.from([0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xff])

  it.effect("in a string of a message: refused in every protocol, never replaced", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { send } = rawClient(yield* Peer.open(server))
      const proto = Buffer.concat([Buffer.from([0x0a, bad.length]), bad])
      const outcome = yield* send(UNARY, { body: [framed(proto)] })
      assert.strictEqual(grpcStatus(outcome), 13, grpcMessage(outcome))
      const json = Buffer.concat([Buffer.from('{"text":"'), bad, Buffer.from('"}')])
      for (const version of versions) {
        for (const [path, fields, body, status] of [
          [UNARY, { "content-type": "application/proto" }, proto, 400],
          [UNARY, { "content-type": "application/json" }, json, 400],
          ["/test/v1/echo", { "content-type": "application/json" }, json, 400],
          ["/test/v1/echo", { "content-type": "application/yaml" }, Buffer.concat([Buffer.from("text: "), bad]), 400],
          [
            "/test/v1/echo",
            { "content-type": "application/xml" },
            Buffer.concat([Buffer.from("<EchoRequest><Text>"), bad, Buffer.from("</Text></EchoRequest>")]),
            400
          ],
          ["/test/v1/echo", { "content-type": "application/x-www-form-urlencoded" }, Buffer.from("text=%ff%fe"), 400]
        ] as const) {
          const answer = yield* ask(server, version, { path, fields, body: [body] })
          assert.strictEqual(answer.status, status, `${version} ${path} ${JSON.stringify(fields)} ${answer.body.toString()}`)
        }
      }
    })
  )

  it.effect("in a path: 400 for broken percent-encoding, 404 for octets that no route has", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const version of versions) {
        for (const path of ["/test/v1/echo/%ff%fe:stream", "/test/v1/echo/%c0%af:stream", "/test/v1/echo/%zz:stream"]) {
          const { status } = yield* ask(server, version, { method: "GET", path })
          assert.isTrue(status >= 400 && status < 500, `${version} ${path}: ${status}`)
        }
      }
    })
  )

  it.effect("in metadata: values are octets, broken base64 costs its key alone", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { send } = rawClient(yield* Peer.open(server))
      const fields = { "x-a": "\u00ff\u00fe", "x-b-bin": "%%%", "x-c-bin": "\u00ff", "grpc-message": "%ff%zz" }
      assert.strictEqual(grpcStatus(yield* send(UNARY, { fields, body: [framed(message)] })), 0)
    })
  )
})
