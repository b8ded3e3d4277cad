/**
 * Who is slow slows down who is fast, through every protocol and both versions of HTTP, to the stream of a handler and back to the sender of requests.
 * The bounds are what a stream may hold: the window of its receiver (256 KiB), the high-water mark of its sender (64 KiB) and what is in hand.
 */
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { implement, memory, serve, type Serving, settles, sockets, until } from "./Harness.ts"
import { framed } from "./Raw.ts"

const WINDOW = 262_144
const HIGH_WATER = 65_536

/** `EchoRequest` and `EchoReply` have the payload in the same field. */
const withPayload = (length: number): Buffer => {
  const head: Array<number> = [0x12]
  for (let left = length; ; left >>>= 7) {
    if (left < 128) {
      head.push(left)
      break
    }
    head.push((left & 127) | 128)
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc(length, "x")])
}

interface Face {
  readonly name: string
  readonly contentType: string
  /** The way to `ServerStream`. */
  readonly replies: { readonly method: string; readonly path: string; readonly body: Buffer }
}

const enveloped = (name: string, contentType: string): Face => ({
  name,
  contentType,
  replies: { method: "POST", path: "/test.v1.Echo/ServerStream", body: framed(Buffer.alloc(0)) }
})
const grpc = enveloped("gRPC", "application/grpc")
const others = [enveloped("gRPC-Web", "application/grpc-web+proto"), enveloped("Connect", "application/connect+proto")]
const events: Face = {
  name: "server-sent events",
  contentType: "",
  replies: { method: "GET", path: "/test/v1/echo/x:stream", body: Buffer.alloc(0) }
}

/** A stream of messages that counts what it was asked for. */
const counted = (length: number) => {
  const seen = { produced: 0 }
  const payload = new Uint8Array(length)
  const stream = Stream.forever(Stream.make({ payload })).pipe(Stream.tap(() => Effect.sync(() => seen.produced++)))
  return { seen, stream }
}

/** A handler that takes one message, and the rest when the gate is open. */
const hesitant = Effect.gen(function* () {
  const gate = yield* Latch.make()
  const seen = { taken: 0 }
  const implementation = implement({
    clientStream: (requests) =>
      Effect.as(
        Stream.runForEach(requests, () =>
          Effect.andThen(
            Effect.sync(() => seen.taken++),
            gate.await
          )
        ),
        {}
      )
  })
  return { gate, seen, implementation }
})

const head = (method: string, path: string, contentType: string): HeaderBlock =>
  HeaderBlock.make([
    [":method", method],
    [":scheme", "http"],
    [":authority", "test"],
    [":path", path],
    ...(contentType === ""
      ? [["accept", "text/event-stream"] as const]
      : [["content-type", contentType] as const, ["te", "trailers"] as const])
  ])

/** Opens a stream whose replies lie until `take` is called. */
const open = Effect.fnUntraced(function* (server: Serving, block: HeaderBlock, onDrain = (): void => {}) {
  const connection = ClientConnection.make(yield* server.connect)
  // before the server drains
  yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
  const seen = { received: 0, taken: 0 }
  const stream = connection.request(
    block,
    { onData: (data) => void (seen.received += data.length), onTrailers: () => {}, onAbort: () => {}, onDrain },
    undefined,
    false
  )!
  const take = (): void => {
    stream.consumed(seen.received - seen.taken)
    seen.taken = seen.received
  }
  return { stream, seen, take }
})

for (const wire of [memory, sockets]) {
  describe(`HTTP/2 over ${wire.name}`, () => {
    for (const { contentType, name, replies } of [grpc, ...others, events]) {
      // messages of 1 MiB: one lies in the queue of the sender, and one is in hand
      for (const length of [1000, 50_000, 1_048_576]) {
        it.effect(`${name}: replies of ${length} bytes wait for the client`, () =>
          Effect.gen(function* () {
            const { seen, stream } = counted(length)
            const server = yield* serve({ wire, implementation: implement({ serverStream: () => stream }) })
            const client = yield* open(server, head(replies.method, replies.path, contentType))
            client.stream.data(replies.body, true)
            yield* until(Effect.sync(() => client.seen.received > 0))
            const first = yield* settles(() => seen.produced)
            // base64 of JSON is a third longer
            assert.isAtMost(first, (WINDOW + HIGH_WATER) / length + 3)
            assert.isAtMost(client.seen.received, WINDOW)
            assert.isAtLeast(client.seen.received, WINDOW - 2 * 16_384)
            // and they come as fast as they are taken
            client.take()
            yield* until(Effect.sync(() => client.seen.received > WINDOW))
            assert.isAtMost(yield* settles(() => seen.produced), (2 * WINDOW + HIGH_WATER) / length + 3)
          })
        )
      }
    }

    for (const { contentType, name } of [grpc, ...others]) {
      for (const length of [1000, 50_000, 1_048_576]) {
        it.effect(`${name}: requests of ${length} bytes wait for the handler`, () =>
          Effect.gen(function* () {
            const { gate, implementation, seen } = yield* hesitant
            // a window that could grow would do so with the parts of messages, which are taken as they come
            const server = yield* serve({ wire, implementation, http2: { maxWindowSize: 0 } })
            const message = framed(withPayload(length))
            const total = Math.ceil(2_000_000 / message.length) + 4
            let sent = 0
            const more = (): void => {
              while (sent < total) if (!client.stream.data(message, ++sent === total)) return
            }
            const client = yield* open(server, head("POST", "/test.v1.Echo/ClientStream", contentType), () => more())
            more()
            yield* until(Effect.sync(() => seen.taken === 1))
            const stopped = yield* settles(() => sent)
            // what the handler has taken out of the window at once is read ahead of it: 64 KiB, or one message
            assert.isAtMost(stopped * message.length, 2 * (WINDOW + HIGH_WATER) + 3 * message.length)
            assert.isBelow(stopped, total)
            yield* gate.open
            yield* until(Effect.sync(() => seen.taken === total))
          })
        )
      }
    }
  })
}

describe("HTTP/1.1", () => {
  // the buffers of both ends, of 64 KiB and less
  const BUFFERS = 262_144

  for (const { contentType, name, replies } of [...others, events]) {
    it.effect(`${name}: replies wait for the client`, () =>
      Effect.gen(function* () {
        const length = 10_000
        const { seen, stream } = counted(length)
        const server = yield* serve({ implementation: implement({ serverStream: () => stream }) })
        const duplex = yield* server.connect
        const type = contentType === "" ? "accept: text/event-stream\r\n" : `content-type: ${contentType}\r\n`
        duplex.write(`${replies.method} ${replies.path} HTTP/1.1\r\nhost: a\r\n${type}content-length: ${replies.body.length}\r\n\r\n`)
        duplex.write(replies.body)
        yield* until(Effect.sync(() => seen.produced > 0))
        const stopped = yield* settles(() => seen.produced)
        assert.isAtMost(stopped, BUFFERS / length + 3)
        let received = 0
        duplex.on("data", (chunk: Buffer) => {
          received += chunk.length
          if (received > 1_000_000) duplex.pause()
        })
        yield* until(Effect.sync(() => received > 1_000_000))
        assert.isAtMost(yield* settles(() => seen.produced), (1_000_000 + 65_536 + BUFFERS) / length + 3)
        duplex.destroy()
      })
    )
  }

  for (const { contentType, name } of others) {
    it.effect(`${name}: requests wait for the handler`, () =>
      Effect.gen(function* () {
        const { gate, implementation, seen } = yield* hesitant
        const server = yield* serve({ implementation })
        const duplex = yield* server.connect
        duplex.write(
          `POST /test.v1.Echo/ClientStream HTTP/1.1\r\nhost: a\r\ncontent-type: ${contentType}\r\ntransfer-encoding: chunked\r\n\r\n`
        )
        const message = framed(withPayload(10_000))
        const chunk = Buffer.concat([Buffer.from(`${message.length.toString(16)}\r\n`), message, Buffer.from("\r\n")])
        const total = 200
        let sent = 0
        const more = (): void => {
          while (sent < total) {
            sent++
            if (!duplex.write(chunk)) return
          }
          duplex.write("0\r\n\r\n")
        }
        duplex.on("drain", more)
        more()
        yield* until(Effect.sync(() => seen.taken === 1))
        assert.isAtMost((yield* settles(() => sent)) * chunk.length, 2 * BUFFERS)
        yield* gate.open
        yield* until(Effect.sync(() => seen.taken === total))
        duplex.destroy()
      })
    )
  }
})
