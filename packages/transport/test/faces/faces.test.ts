/** One server, every face, every kind of call: the same reply, the same error, the same interrupt, and one call for the aspects. */
import * as ConnectNode from "@connectrpc/connect-node"
import * as ConnectWeb from "@connectrpc/connect-web"
import * as Aspect from "@effect-kratos/core/Aspect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { assert, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Channels from "../../src/Channels.ts"
import type * as Client from "../../src/Client.ts"
import * as Server from "../../src/Server.ts"
import * as WebClient from "../../src/web/WebClient.ts"
import { Journal } from "../EchoLive.ts"
import { reaches, settled, until } from "../Harness.ts"
import { EchoFaces, EchoFacesLive } from "./Contract.ts"
import { tableUnder } from "./document.ts"
import { type Face, type Init, type Kind, kinds, ofService, ofTransport, type Outcome, type Request } from "./Face.ts"
import * as RestPeer from "./RestPeer.ts"

const ourClient = (options: Client.Options): Face["connect"] =>
  Effect.fnUntraced(function* ({ address }) {
    const context = yield* Layer.build(
      Layer.fresh(EchoFaces.client("discovery:///echo", options)).pipe(Layer.provide(Layer.fresh(Channels.layerTo(address))))
    )
    return ofService(Context.get(context, EchoFaces))
  })

const webClient: Face["connect"] = ({ baseUrl }) =>
  Effect.map(Layer.build(WebClient.layer(EchoFaces, { baseUrl })), (context) => ofService(Context.get(context, EchoFaces)))

/** What streams no requests. */
const withoutRequestStreams: ReadonlyArray<Kind> = ["unary", "serverStream"]

const faces: ReadonlyArray<Face> = [
  { name: "gRPC", row: "gRPC", kinds, transport: "grpc", codes: "http", connect: ourClient({ protocol: "grpc" }) },
  {
    name: "Connect by our client",
    row: "Connect",
    kinds,
    transport: "connect",
    codes: "http",
    connect: ourClient({ protocol: "connect" })
  },
  ...(["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].flatMap((useBinaryFormat): ReadonlyArray<Face> => {
      const how = `${useBinaryFormat ? "proto" : "JSON"}, HTTP/${httpVersion}`
      const options = { httpVersion, useBinaryFormat }
      return [
        {
          name: `gRPC-Web, ${how}`,
          row: "gRPC-Web",
          kinds,
          transport: "grpc-web",
          codes: "grpc",
          connect: ({ baseUrl }) => Effect.succeed(ofTransport(ConnectNode.createGrpcWebTransport({ baseUrl, ...options })))
        },
        {
          name: `Connect, ${how}`,
          row: "Connect",
          kinds,
          transport: "connect",
          codes: "grpc",
          connect: ({ baseUrl }) => Effect.succeed(ofTransport(ConnectNode.createConnectTransport({ baseUrl, ...options })))
        }
      ]
    })
  ),
  {
    name: "gRPC-Web of a browser",
    row: "gRPC-Web, in browsers",
    kinds: withoutRequestStreams,
    transport: "grpc-web",
    codes: "grpc",
    connect: ({ baseUrl }) => Effect.succeed(ofTransport(ConnectWeb.createGrpcWebTransport({ baseUrl })))
  },
  { name: "WebClient", row: "Connect, in browsers", kinds: withoutRequestStreams, transport: "connect", codes: "http", connect: webClient },
  {
    name: "REST",
    row: "REST",
    kinds,
    transport: "http",
    codes: "http",
    connect: ({ baseUrl }) => Effect.succeed(RestPeer.connect(baseUrl))
  },
  ...(["v3", "v2", "binary"] as const).map((dialect): Face => ({
    name: `REST by our client, ${dialect}`,
    row: "REST",
    kinds,
    transport: "http",
    codes: "http",
    connect: ourClient({ protocol: "rest", dialect })
  })),
  {
    name: "in process",
    row: "in process",
    kinds,
    transport: undefined,
    codes: "http",
    connect: ({ implementation }) => Effect.succeed(ofService(implementation))
  }
]

// ---- one server for all of them

interface SeenCall {
  readonly transport: string
  readonly operation: string
  /** `ok`, `interrupted`, or the code of the error. */
  readonly exit: string
}

/** What the aspects of the server saw. */
class Seen extends Context.Service<Seen, { readonly started: Array<string>; readonly ended: Array<SeenCall> }>()("test/Seen") {
  static readonly layer = Layer.sync(Seen, () => ({ started: [], ended: [] }))
}

const observed: Aspect.Aspect<never, Seen> = Aspect.observe({
  start: ({ operation }, services: Context.Context<Seen>) => void Context.get(services, Seen).started.push(operation),
  end: ({ operation, transport }, exit, _, services) => {
    const how =
      exit._tag === "Success" ? "ok" : Cause.hasInterrupts(exit.cause) ? "interrupted" : String(KratosError.fromCause(exit.cause).code)
    Context.get(services, Seen).ended.push({ transport, operation, exit: how })
  }
})

const OneServer = Server.layer({ services: [EchoFaces], host: "127.0.0.1", port: 0, aspects: observed }).pipe(
  Layer.provideMerge(EchoFacesLive),
  Layer.provideMerge(Layer.merge(Journal.layer, Seen.layer))
)

const start = Effect.fnUntraced(function* (face: Face) {
  const { address } = yield* Server.Server
  const [journal, seen, implementation] = [yield* Journal, yield* Seen, yield* EchoFaces]
  seen.started.length = seen.ended.length = 0
  const call = yield* face.connect({ address, implementation, baseUrl: `http://127.0.0.1:${address.port}` })
  return { call, journal, seen }
})

const operations: Readonly<Record<Kind, string>> = {
  unary: "/test.v1.Echo/Unary",
  serverStream: "/test.v1.Echo/ServerStream",
  clientStream: "/test.v1.Echo/ClientStream",
  bidi: "/test.v1.Echo/Bidi"
}

/** The aspects saw this one call, from its beginning to its end, once. */
const sawOnce = (face: Face, kind: Kind, seen: Seen["Service"], exit: string) =>
  Effect.gen(function* () {
    const expected = face.transport === undefined ? [] : [{ transport: face.transport, operation: operations[kind], exit }]
    yield* until(Effect.sync(() => seen.ended.length >= expected.length))
    assert.deepStrictEqual(seen.ended, expected)
    assert.deepStrictEqual(
      seen.started,
      expected.map(({ operation }) => operation)
    )
  })

// ---- what is called, and what comes of it

const payload = Uint8Array.of(0, 1, 127, 128, 255)
const text = "grüße, 世界"

const messagesOf = (kind: Kind, init: Init = {}): ReadonlyArray<Init> => {
  const message = { text, payload, count: 2, ...init }
  return kind === "clientStream" || kind === "bidi" ? [{ text, payload, count: 1 }, message] : [message]
}

/** The fields of replies that say something. */
const plain = ({ error, replies }: Outcome) => ({
  replies: replies.map((reply) => ({ text: reply.text, payload: [...reply.payload], index: reply.index })),
  error
})

const reply = (index: number) => ({ text, payload: [...payload], index })

const expected: Readonly<Record<Kind, ReturnType<typeof plain>["replies"]>> = {
  unary: [reply(0)],
  serverStream: [reply(0), reply(1)],
  clientStream: [{ text: `${text},${text}`, payload: [...payload, ...payload], index: 2 }],
  bidi: [reply(0), reply(0), reply(1)]
}

const reasons: ReadonlyArray<{ readonly reason: string; readonly http: number; readonly grpc: string }> = [
  { reason: "THING_NOT_FOUND", http: 404, grpc: "NotFound" },
  { reason: "QUOTA_EXHAUSTED", http: 429, grpc: "ResourceExhausted" },
  { reason: "TEAPOT", http: 418, grpc: "Unknown" }
]

/** Time on the clock of the tests never passes. */
const delayMs = 1_000_000_000

const waiting = (kind: Kind): Request => ({ kind, messages: [{ text, delayMs }], open: true })

layer(OneServer)("every face of one server", (it) => {
  it("is in the table of the document, with the kinds that it has", () => {
    const { rows } = tableUnder("# Faces")
    assert.sameMembers(
      rows.map(([name]) => name),
      [...new Set(faces.map(({ row }) => row))]
    )
    for (const face of faces) {
      const [, ...cells] = rows.find(([name]) => name === face.row)!
      assert.deepStrictEqual(
        cells.map((cell) => cell !== ""),
        kinds.map((kind) => face.kinds.includes(kind)),
        face.name
      )
    }
  })

  for (const face of faces) {
    for (const kind of kinds) {
      if (!face.kinds.includes(kind)) {
        it.effect(`${face.name}, ${kind}: does not exist`, () =>
          Effect.gen(function* () {
            const { call, journal, seen } = yield* start(face)
            const before = yield* Ref.get(journal.done)
            const { error, replies } = yield* call({ kind, messages: messagesOf(kind) })
            assert.isEmpty(replies)
            assert.isDefined(error)
            assert.strictEqual(yield* Ref.get(journal.done), before)
            assert.isEmpty(seen.started)
          })
        )
        continue
      }

      it.effect(`${face.name}, ${kind}: the same reply`, () =>
        Effect.gen(function* () {
          const { call, journal, seen } = yield* start(face)
          const outcome = yield* call({ kind, messages: messagesOf(kind) })
          assert.deepStrictEqual(plain(outcome), { replies: expected[kind], error: undefined })
          yield* sawOnce(face, kind, seen, "ok")
          yield* settled(journal)
        })
      )

      for (const { grpc, http, reason } of reasons) {
        it.effect(`${face.name}, ${kind}: the same error, ${reason}`, () =>
          Effect.gen(function* () {
            const { call, journal, seen } = yield* start(face)
            const outcome = yield* call({ kind, messages: messagesOf(kind, { failReason: reason }) })
            assert.deepStrictEqual(plain(outcome), {
              // streams fail behind their replies
              replies: kind === "serverStream" || kind === "bidi" ? expected[kind] : [],
              error: {
                code: face.codes === "http" ? http : grpc,
                reason,
                message: `failed as asked: ${reason}`,
                metadata: { text }
              }
            })
            yield* sawOnce(face, kind, seen, String(http))
            yield* settled(journal)
          })
        )
      }

      it.effect(`${face.name}, ${kind}: the same interrupt`, () =>
        Effect.gen(function* () {
          const { call, journal, seen } = yield* start(face)
          const before = yield* Ref.get(journal.interrupted)
          const fiber = yield* Effect.forkChild(call(waiting(kind)), { startImmediately: true })
          yield* reaches(journal.open, 1)
          assert.strictEqual(yield* Ref.get(journal.interrupted), before)
          yield* Fiber.interrupt(fiber)
          yield* reaches(journal.interrupted, before + 1)
          yield* sawOnce(face, kind, seen, "interrupted")
          yield* settled(journal)
          assert.strictEqual(yield* Ref.get(journal.interrupted), before + 1)
        })
      )
    }
  }
})
