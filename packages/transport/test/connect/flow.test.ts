/** Flow control of streams over HTTP/1.1 and HTTP/2: who does not read holds the other end back, and nothing piles up between them. */
import * as ClientConnection from "@effect-kratos/http2/ClientConnection"
import { HeaderBlock } from "@effect-kratos/http2/HeaderBlock"
import type { StreamListener } from "@effect-kratos/http2/Stream"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as http from "node:http"
import type { Duplex } from "node:stream"
import { implement, serve, settles, until } from "../Harness.ts"
import { envelope, envelopes, versions } from "./Ask.ts"

const MESSAGES = 5000
const message = Buffer.concat([Buffer.from([0x12, 0x90, 0x4e]), Buffer.alloc(10_000)]) // field 2, 10 kB
/** Far less than what is sent, more than all windows and buffers on the way. */
const SOME = 500

const types = ["application/connect+proto", "application/grpc-web+proto"]

interface Open {
  /** False when the client shall wait for `drained`. */
  readonly write: (chunk: Uint8Array) => boolean
  readonly drained: () => Promise<void>
  readonly end: () => void
  /** Reads the reply, until which it is left where it is. */
  readonly read: () => Promise<Buffer>
  readonly destroy: () => void
}

const open1 = (duplex: Duplex, path: string, contentType: string): Open => {
  const request = http.request({
    createConnection: () => duplex,
    method: "POST",
    path,
    headers: { host: "test", "content-type": contentType }
  })
  const response = new Promise<http.IncomingMessage>((resolve) => request.once("response", resolve))
  request.on("error", () => {})
  return {
    write: (chunk) => request.write(chunk),
    drained: () => new Promise((resolve) => request.once("drain", () => resolve())),
    end: () => void request.end(),
    read: async () => {
      const chunks: Array<Buffer> = []
      for await (const chunk of await response) chunks.push(chunk as Buffer) // no encoding is set
      return Buffer.concat(chunks)
    },
    destroy: () => void request.destroy()
  }
}

const open2 = (duplex: Duplex, path: string, contentType: string): Open => {
  const connection = ClientConnection.make(duplex)
  const chunks: Array<Buffer> = []
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  let wake = () => {}
  let reading = false
  let unread = 0
  const listener: StreamListener = {
    onHeaders: () => {},
    onData: (data, endStream) => {
      chunks.push(Buffer.from(data))
      if (reading) stream.consumed(data.length)
      else unread += data.length
      if (endStream) resolve(Buffer.concat(chunks))
    },
    onTrailers: () => {},
    onAbort: () => resolve(Buffer.concat(chunks)),
    onDrain: () => wake()
  }
  const head = { ":method": "POST", ":scheme": "http", ":path": path, ":authority": "test", "content-type": contentType }
  const stream = connection.request(HeaderBlock.make(Object.entries(head)), listener, undefined, false)!
  return {
    write: (chunk) => stream.data(chunk, false),
    drained: () => new Promise((resolve) => (wake = resolve)),
    end: () => void stream.data(new Uint8Array(0), true),
    read: () => {
      reading = true
      stream.consumed(unread)
      return promise
    },
    destroy: () => void duplex.destroy()
  }
}

for (const version of versions) {
  const open = version === "HTTP/2" ? open2 : open1
  for (const contentType of types) {
    describe(`${contentType} over ${version}`, () => {
      it.effect("a handler that does not pull holds the client back", () =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          const server = yield* serve({
            implementation: implement({
              *clientStream(requests) {
                yield* Deferred.await(gate)
                return { index: yield* Stream.runCount(requests) }
              }
            })
          })
          const client = open(yield* server.connect, "/test.v1.Echo/ClientStream", contentType)
          let sent = 0
          const sending = (async () => {
            while (sent < MESSAGES) {
              sent++
              if (!client.write(envelope(message))) await client.drained()
            }
            client.end()
          })()
          const held = yield* settles(() => sent)
          assert.isAbove(held, 0)
          assert.isBelow(held, SOME)
          yield* Deferred.succeed(gate, undefined)
          yield* Effect.promise(() => sending)
          const [reply] = envelopes(yield* Effect.promise(client.read))
          // index = MESSAGES
          assert.deepStrictEqual([...reply!.content], [0x18, 0x88, 0x27])
          client.destroy()
        })
      )

      it.effect("a client that does not read holds the handler back; one that goes away ends it", () =>
        Effect.gen(function* () {
          let made = 0
          let ended = 0
          const server = yield* serve({
            implementation: implement({
              serverStream: () =>
                Stream.range(1, MESSAGES).pipe(
                  Stream.rechunk(1),
                  Stream.map(() => {
                    made++
                    return { payload: new Uint8Array(10_000) }
                  }),
                  Stream.ensuring(Effect.sync(() => ended++))
                )
            })
          })
          const path = "/test.v1.Echo/ServerStream"
          const client = open(yield* server.connect, path, contentType)
          client.write(envelope(""))
          client.end()
          const held = yield* settles(() => made)
          assert.isAbove(held, 0)
          assert.isBelow(held, SOME)
          const all = envelopes(yield* Effect.promise(client.read))
          assert.strictEqual(all.length, MESSAGES + 1)
          client.destroy()

          const rude = open(yield* server.connect, path, contentType)
          rude.write(envelope(""))
          rude.end()
          yield* settles(() => made)
          assert.strictEqual(ended, 1)
          rude.destroy()
          yield* until(Effect.sync(() => ended === 2))
          assert.isBelow(made, MESSAGES + SOME)
        })
      )
    })
  }
}
