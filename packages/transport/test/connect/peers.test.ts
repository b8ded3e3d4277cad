/** Connect's own clients, of Node and of browsers, against our server: every protocol they speak over every version of HTTP. */
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect"
import * as ConnectNode from "@connectrpc/connect-node"
import * as ConnectWeb from "@connectrpc/connect-web"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { Echo } from "../gen/test/v1/echo_pb.ts"
import { reaches, serve, settled, sockets } from "../Harness.ts"

type Echoes = Client<typeof Echo>

interface Peer {
  readonly name: string
  readonly transport: (baseUrl: string) => Transport
  /** What it cannot do: browsers stream no requests. */
  readonly requestStreams: boolean
}

const peers: ReadonlyArray<Peer> = [
  ...(["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].flatMap((useBinaryFormat): ReadonlyArray<Peer> => {
      const how = `connect-node, HTTP/${httpVersion}, ${useBinaryFormat ? "proto" : "json"}`
      const options = { httpVersion, useBinaryFormat }
      return [
        {
          name: `Connect by ${how}`,
          transport: (baseUrl) => ConnectNode.createConnectTransport({ baseUrl, ...options }),
          requestStreams: true
        },
        {
          name: `gRPC-Web by ${how}`,
          transport: (baseUrl) => ConnectNode.createGrpcWebTransport({ baseUrl, ...options }),
          requestStreams: true
        }
      ]
    })
  ),
  ...[true, false].flatMap((useBinaryFormat): ReadonlyArray<Peer> => {
    const how = `connect-web, ${useBinaryFormat ? "proto" : "json"}`
    return [
      {
        name: `Connect by ${how}`,
        transport: (baseUrl) => ConnectWeb.createConnectTransport({ baseUrl, useBinaryFormat }),
        requestStreams: false
      },
      {
        name: `gRPC-Web by ${how}`,
        transport: (baseUrl) => ConnectWeb.createGrpcWebTransport({ baseUrl, useBinaryFormat }),
        requestStreams: false
      }
    ]
  }),
  {
    name: "Connect by connect-node, every message compressed",
    transport: (baseUrl) =>
      ConnectNode.createConnectTransport({ baseUrl, httpVersion: "2", sendCompression: ConnectNode.compressionGzip, compressMinBytes: 0 }),
    requestStreams: true
  },
  {
    name: "gRPC-Web by connect-node, every message compressed",
    transport: (baseUrl) =>
      ConnectNode.createGrpcWebTransport({
        baseUrl,
        httpVersion: "1.1",
        sendCompression: ConnectNode.compressionGzip,
        compressMinBytes: 0
      }),
    requestStreams: true
  }
]

/** A server on a socket and a client of it. */
const join = Effect.fnUntraced(function* (peer: Peer, options?: { readonly maxMessageBytes?: number }) {
  const server = yield* serve({ wire: sockets, ...options })
  // peers keep connections open
  return { ...server, echo: createClient(Echo, peer.transport(`http://127.0.0.1:${server.address.port}`)) }
})

const ask = <A>(call: () => Promise<A>): Effect.Effect<A, ConnectError> =>
  Effect.tryPromise({ try: call, catch: (error) => ConnectError.from(error) })

const collect = <A>(replies: () => AsyncIterable<A>): Effect.Effect<ReadonlyArray<A>, ConnectError> =>
  ask(async () => {
    const all: Array<A> = []
    for await (const reply of replies()) all.push(reply)
    return all
  })

async function* requests(...texts: ReadonlyArray<string>) {
  for (const text of texts) yield { text }
}

type Ask = (echo: Echoes) => Effect.Effect<unknown, ConnectError>

const law = (peer: Peer, name: string, test: (peer: Peer) => Effect.Effect<void, unknown, Scope.Scope>) => it.effect(name, () => test(peer))

for (const peer of peers) {
  describe(peer.name, () => {
    law(peer, "unary", (peer) =>
      Effect.gen(function* () {
        const { echo } = yield* join(peer)
        const payload = new Uint8Array(100_000).map((_, i) => i)
        const reply = yield* ask(() => echo.unary({ text: "héllo", payload }))
        assert.strictEqual(reply.text, "héllo")
        assert.deepStrictEqual(reply.payload, payload)
        assert.strictEqual((yield* ask(() => echo.unary({}))).text, "")
      })
    )

    law(peer, "server streaming keeps order and ends", (peer) =>
      Effect.gen(function* () {
        const { echo } = yield* join(peer)
        const payload = new Uint8Array(2000)
        const replies = yield* collect(() => echo.serverStream({ text: "s", count: 300, payload }))
        assert.deepStrictEqual(
          replies.map((reply) => [reply.index, reply.payload.length]),
          Array.from({ length: 300 }, (_, i) => [i, 2000])
        )
      })
    )

    if (peer.requestStreams) {
      law(peer, "client streaming", (peer) =>
        Effect.gen(function* () {
          const { echo } = yield* join(peer)
          const reply = yield* ask(() => echo.clientStream(requests("a", "b", "c")))
          assert.strictEqual(reply.text, "a,b,c")
          assert.strictEqual(reply.index, 3)
          assert.strictEqual((yield* ask(() => echo.clientStream(requests()))).index, 0)
        })
      )

      law(peer, "bidi", (peer) =>
        Effect.gen(function* () {
          const { echo } = yield* join(peer)
          const replies = yield* collect(() => echo.bidi(requests("a", "b", "c")))
          assert.deepStrictEqual(
            replies.map((reply) => reply.text),
            ["a", "b", "c"]
          )
        })
      )
    }

    law(peer, "errors carry code, message, reason and metadata, before and behind messages", (peer) =>
      Effect.gen(function* () {
        const { echo } = yield* join(peer)
        const fails: ReadonlyArray<Ask> = [
          (echo) => ask(() => echo.unary({ text: "t", failReason: "THING_NOT_FOUND" })),
          (echo) => collect(() => echo.serverStream({ text: "t", count: 2, failReason: "THING_NOT_FOUND" }))
        ]
        for (const fail of fails) {
          const error = yield* Effect.flip(fail(echo))
          assert.strictEqual(error.code, Code.NotFound)
          assert.isNotEmpty(error.rawMessage)
          const [info, ...more] = error.findDetails(ErrorInfoSchema)
          assert.isEmpty(more)
          assert.strictEqual(info?.reason, "THING_NOT_FOUND")
          assert.deepStrictEqual(info?.metadata, { text: "t" })
        }
        const secret = yield* Effect.flip(ask(() => echo.unary({ failReason: "BOOM" })))
        assert.strictEqual(secret.code, Code.Internal)
        assert.strictEqual(secret.rawMessage, "internal error")
      })
    )

    law(peer, "metadata of all three sections, binary too", (peer) =>
      Effect.gen(function* () {
        const { echo } = yield* join(peer)
        const seen: Array<string | null> = []
        const options = {
          headers: { "x-md-one": "uno", "x-md-two-bin": "AAH/" },
          onHeader: (headers: Headers) => void seen.push(headers.get("x-md-one"), headers.get("x-md-two-bin")),
          onTrailer: (trailers: Headers) => void seen.push(trailers.get("trailer-bin"))
        }
        const echoMetadata = ["x-md-one", "x-md-two-bin"]
        const reply = yield* ask(() => echo.unary({ echoMetadata }, options))
        assert.deepStrictEqual(reply.metadata, { "x-md-one": "uno", "x-md-two-bin": "AAH/" })
        assert.deepStrictEqual(seen, ["uno", "AAH/", "AAH/"])
        seen.length = 0
        yield* collect(() => echo.serverStream({ echoMetadata }, options))
        assert.deepStrictEqual(seen, ["uno", "AAH/", "AAH/"])
      })
    )

    law(peer, "a client that gives up interrupts the handler", (peer) =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join(peer)
        const calls: ReadonlyArray<(signal: AbortSignal) => Effect.Effect<unknown, ConnectError>> = [
          (signal) => ask(() => echo.unary({ delayMs: 1_000_000 }, { signal })),
          (signal) => collect(() => echo.serverStream({ delayMs: 1_000_000 }, { signal }))
        ]
        for (const [index, call] of calls.entries()) {
          const controller = new AbortController()
          const fiber = yield* Effect.forkChild(Effect.flip(call(controller.signal)), { startImmediately: true })
          // the call has reached its handler
          yield* reaches(journal.open, 1)
          controller.abort()
          yield* reaches(journal.interrupted, index + 1)
          assert.strictEqual((yield* Fiber.join(fiber)).code, Code.Canceled)
          yield* settled(journal)
        }
      })
    )

    law(peer, "the client's deadline ends the handler", (peer) =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join(peer)
        const calls: ReadonlyArray<Ask> = [
          (echo) => ask(() => echo.unary({ delayMs: 7_200_000 }, { timeoutMs: 3_600_000 })),
          (echo) => collect(() => echo.serverStream({ delayMs: 7_200_000 }, { timeoutMs: 3_600_000 }))
        ]
        for (const [index, call] of calls.entries()) {
          const fiber = yield* Effect.forkChild(Effect.flip(call(echo)), { startImmediately: true })
          yield* reaches(journal.open, 1)
          yield* TestClock.adjust("61 minutes")
          yield* reaches(journal.interrupted, index + 1)
          const error = yield* Fiber.join(fiber)
          assert.strictEqual(error.code, Code.DeadlineExceeded)
          // the code says it all
          assert.deepStrictEqual(error.findDetails(ErrorInfoSchema), [])
        }
        assert.strictEqual(yield* Ref.get(journal.open), 0)
      })
    )

    law(peer, "a message over the limit is refused", (peer) =>
      Effect.gen(function* () {
        const { echo } = yield* join(peer, { maxMessageBytes: 1000 })
        const error = yield* Effect.flip(ask(() => echo.unary({ text: "x".repeat(200_000) })))
        assert.strictEqual(error.code, Code.ResourceExhausted)
        assert.strictEqual((yield* ask(() => echo.unary({ text: "x".repeat(500) }))).text.length, 500)
      })
    )
  })
}
