/** The cases of our own client, each an effect that fails when the server does not do what the contract says. */
import * as Deadline from "@effect-kratos/core/Deadline"
import { Grpc } from "@effect-kratos/core/error/Status"
import * as Metadata from "@effect-kratos/core/Metadata"
import type { Channels } from "@effect-kratos/transport/Channels"
import { Health as HealthDesc, HealthCheckResponse_ServingStatus } from "@effect-kratos/transport/gen/grpc/health/v1/health_pb"
import type * as Client from "@effect-kratos/transport/Client"
import { wasCompressed } from "@effect-kratos/transport/MessageCompression"
import * as Service from "@effect-kratos/transport/Service"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { aspect, Carried, type Metadatas } from "./Carried.ts"
import type { Case } from "./cases.ts"
import { check, hasCode, Wrong } from "./Check.ts"
import { Echo } from "./gen/test/v1/echo_effect.ts"
import type { EchoReply } from "./gen/test/v1/echo_pb.ts"
import { askInterrupted } from "./EchoLive.ts"
import * as Unlisted from "./Unlisted.ts"

export const options = { aspects: aspect }

const none = new Uint8Array(0)

const same = (reply: EchoReply | undefined, text: string, payload: Uint8Array = none, index = 0) =>
  check(() => {
    assert.equal(reply?.text, text)
    assert.equal(reply?.index, index)
    assert.ok(
      Buffer.compare(reply?.payload ?? none, payload) === 0,
      `expected ${payload.length} bytes of payload, got ${reply?.payload.length}`
    )
  })

const allSame = (replies: ReadonlyArray<EchoReply>, text: string, count: number, payload?: Uint8Array) =>
  Effect.andThen(
    check(() => assert.equal(replies.length, count)),
    Effect.forEach(replies, (reply, index) => same(reply, text, payload, index), { discard: true })
  )

const unary = (request: Parameters<(typeof Echo)["Service"]["unary"]>[0]) => Echo.use((echo) => echo.unary(request))
const serverStream = (request: Parameters<(typeof Echo)["Service"]["serverStream"]>[0]) =>
  Stream.unwrap(Echo.useSync((echo) => echo.serverStream(request)))
const bidi = <R>(requests: Stream.Stream<Parameters<(typeof Echo)["Service"]["unary"]>[0], never, R>) =>
  Stream.unwrap(Echo.useSync((echo) => echo.bidi(requests)))

/** Waits until the server says that its handler of the call with this text was interrupted. */
const interrupted = (text: string) =>
  Effect.gen(function* () {
    for (let i = 0; i < 100; i++) {
      if ((yield* unary({ text: askInterrupted + text })).index > 0) return
      yield* Effect.sleep("50 millis")
    }
    return yield* new Wrong({ message: "the handler was not interrupted within 5 s" })
  })

const unique = (name: string) => Effect.map(Clock.currentTimeNanos, (now) => `ours-${name}-${process.pid}-${now}`)

const pattern = (size: number) => Uint8Array.from({ length: size }, (_, i) => i * 31)

const isReason = (error: unknown, tag: string, text: string, message: string) =>
  check(() => {
    const { _tag, message: got, metadata } = error as { _tag: string; message: string; metadata: unknown } // any error has these, or the next line says so
    assert.deepEqual({ _tag, message: got, metadata }, { _tag: tag, message, metadata: { text } })
  })

/** Leaves a stream that would go on for a minute after its second reply. */
const cancelAfterTwo = <E, R>(text: string, replies: Stream.Stream<EchoReply, E, R>) =>
  Effect.gen(function* () {
    const two = yield* Stream.runCollect(Stream.take(replies, 2))
    yield* check(() =>
      assert.deepEqual(
        two.map((reply) => reply.text),
        [text, text]
      )
    )
    yield* interrupted(text)
  })

const pingPong = Effect.gen(function* () {
  const requests = yield* Queue.unbounded<{ readonly text: string }, Cause.Done>()
  let count = 0
  yield* Queue.offer(requests, { text: "ping 0" })
  yield* bidi(Stream.fromQueue(requests)).pipe(
    Stream.runForEach((reply) =>
      Effect.gen(function* () {
        yield* same(reply, `ping ${count}`, undefined, count)
        count++
        yield* count < 10 ? Queue.offer(requests, { text: `ping ${count}` }) : Queue.end(requests)
      })
    )
  )
  yield* check(() => assert.equal(count, 10))
})

const metadata = Effect.gen(function* () {
  const raw = pattern(256)
  const request = Metadata.fromRecord({ "x-one": "a b", "x-many": ["1", "2"] })
  Metadata.setBinary(request, "x-raw-bin", raw)
  const carried: Metadatas = { request }
  const reply = yield* Effect.provideService(unary({ echoMetadata: ["x-one", "x-many", "x-raw-bin", "x-none"] }), Carried, carried)
  // HTTP lets a peer join the lines of a header, with or without a space
  const joined = (values: ReadonlyArray<string>) => values.join(",").replaceAll(", ", ",")
  yield* check(() => {
    const seen = { ...reply.metadata, "x-many": joined([reply.metadata["x-many"] ?? ""]) }
    assert.deepEqual(seen, { "x-one": "a b", "x-many": "1,2", "x-raw-bin": Buffer.from(raw).toString("base64").replaceAll("=", "") })
    for (const [place, returned] of [
      ["echo-", carried.reply ?? Metadata.empty],
      ["trailer-", carried.trailers ?? Metadata.empty]
    ] as const) {
      assert.deepEqual(Metadata.getAll(returned, `${place}x-one`), ["a b"], `${place}x-one`)
      assert.equal(joined(Metadata.getAll(returned, `${place}x-many`)), "1,2", `${place}x-many`)
      assert.deepEqual(Option.getOrUndefined(Metadata.getBinary(returned, `${place}x-raw-bin`)), raw, `${place}x-raw-bin`)
    }
  })
})

/** A client that compresses its requests, for one call. */
const compressed = (target: string, tls: Tls) => Layer.fresh(Echo.client(target, { compression: "gzip", tls }))

const compressible = new TextEncoder().encode("compressible ".repeat(10_000))

class Health extends Service.make<Health>()(HealthDesc, { errors: [] }) {}

type Check = Effect.Effect<void, unknown, Echo | Channels>

type Tls = Client.Options["tls"]

/** All cases, by name; a text says why our client cannot judge one. */
export const cases = (target: string, tls?: Tls): Record<Case, Check | string> => ({
  unary: Effect.flatMap(unary({ text: "hällo", payload: pattern(300) }), (reply) => same(reply, "hällo", pattern(300))),
  "unary-empty": Effect.flatMap(unary({}), (reply) => same(reply, "")),
  "unary-concurrent": Effect.forEach(
    Array.from({ length: 100 }, (_, i) => i),
    (i) => Effect.flatMap(unary({ text: `call ${i}`, delayMs: i % 3 }), (reply) => same(reply, `call ${i}`)),
    { concurrency: "unbounded", discard: true }
  ),
  "server-stream": Effect.flatMap(Stream.runCollect(serverStream({ text: "s", count: 5 })), (replies) => allSame(replies, "s", 5)),
  "server-stream-large": Effect.flatMap(Stream.runCollect(serverStream({ text: "big", count: 64, payload: pattern(65_536) })), (replies) =>
    allSame(replies, "big", 64, pattern(65_536))
  ),
  "client-stream": Echo.use((echo) =>
    echo.clientStream(
      Stream.make({ text: "a", payload: new Uint8Array([1]) }, { text: "b" }, { text: "c", payload: new Uint8Array([2, 3]) })
    )
  ).pipe(Effect.flatMap((reply) => same(reply, "a,b,c", new Uint8Array([1, 2, 3]), 3))),
  "client-stream-empty": Effect.flatMap(
    Echo.use((echo) => echo.clientStream(Stream.empty)),
    (reply) => same(reply, "")
  ),
  bidi: Effect.flatMap(Stream.runCollect(bidi(Stream.make({ text: "b", count: 2 }, { text: "b", count: 2 }, { text: "b" }))), (replies) =>
    allSame(replies, "b", 5)
  ),
  "bidi-ping-pong": pingPong,
  error: Effect.flatMap(Effect.flip(unary({ text: "x", failReason: "THING_NOT_FOUND" })), (error) =>
    isReason(error, "ThingNotFound", "x", "THING_NOT_FOUND: x")
  ),
  "error-unmapped": Effect.flatMap(Effect.flip(unary({ text: "x", failReason: "TEAPOT" })), (error) =>
    isReason(error, "Teapot", "x", "TEAPOT: x")
  ),
  "error-text": Effect.suspend(() => {
    const text = "böse 100% \r\n\t✓"
    return Effect.flatMap(Effect.flip(unary({ text, failReason: "THING_NOT_FOUND" })), (error) =>
      isReason(error, "ThingNotFound", text, `THING_NOT_FOUND: ${text}`)
    )
  }),
  "error-stream": Effect.gen(function* () {
    const seen: Array<EchoReply> = []
    const error = yield* serverStream({ text: "e", count: 2, failReason: "QUOTA_EXHAUSTED" }).pipe(
      Stream.runForEach((reply) => Effect.sync(() => seen.push(reply))),
      Effect.flip
    )
    yield* allSame(seen, "e", 2)
    yield* isReason(error, "QuotaExhausted", "e", "QUOTA_EXHAUSTED: e")
  }),
  deadline: Effect.gen(function* () {
    const text = yield* unique("deadline")
    const now = yield* Clock.currentTimeMillis
    const error = yield* Effect.flip(Effect.provideService(unary({ text, delayMs: 60_000 }), Deadline.Current, now + 200))
    yield* hasCode(error, Grpc.DEADLINE_EXCEEDED)
    yield* interrupted(text)
  }),
  cancel: Effect.gen(function* () {
    const text = yield* unique("cancel")
    const fiber = yield* Effect.forkChild(unary({ text, delayMs: 60_000 }))
    yield* Effect.sleep("200 millis")
    yield* Fiber.interrupt(fiber)
    yield* interrupted(text)
  }),
  "cancel-stream": Effect.flatMap(unique("cancel-stream"), (text) =>
    cancelAfterTwo(text, serverStream({ text, count: 3000, delayMs: 20 }))
  ),
  "cancel-bidi": Effect.flatMap(unique("cancel-bidi"), (text) =>
    cancelAfterTwo(text, bidi(Stream.concat(Stream.make({ text, count: 3000, delayMs: 20 }), Stream.never)))
  ),
  metadata,
  gzip: Effect.provide(
    Effect.flatMap(unary({ text: "z", payload: compressible }), (reply) => same(reply, "z", compressible)),
    compressed(target, tls)
  ),
  "gzip-reply": Effect.provide(
    Effect.flatMap(unary({ text: "z", payload: compressible }), (reply) =>
      check(() => assert.ok(wasCompressed(reply), "the reply was not compressed"))
    ),
    compressed(target, tls)
  ),
  large: Effect.flatMap(unary({ text: "1 MiB", payload: pattern(1 << 20) }), (reply) => same(reply, "1 MiB", pattern(1 << 20))),
  oversize: Effect.gen(function* () {
    yield* hasCode(yield* Effect.flip(unary({ payload: pattern(5 << 20) })), Grpc.RESOURCE_EXHAUSTED)
    yield* same(yield* unary({ text: "still there" }), "still there")
  }),
  "unknown-method": Effect.flatMap(Effect.flip(Unlisted.method(target, tls)), (error) => hasCode(error, Grpc.UNIMPLEMENTED)),
  "unknown-service": Effect.flatMap(Effect.flip(Unlisted.service(target, tls)), (error) => hasCode(error, Grpc.UNIMPLEMENTED)),
  health: Effect.provide(
    Effect.gen(function* () {
      const health = yield* Health
      for (const service of ["", "test.v1.Echo"]) {
        const { status } = yield* health.check({ service })
        yield* check(() => assert.equal(status, HealthCheckResponse_ServingStatus.SERVING))
      }
      yield* hasCode(yield* Effect.flip(health.check({ service: "test.v1.Nope" })), Grpc.NOT_FOUND)
    }),
    Layer.fresh(Health.client(target, { tls }))
  )
})
