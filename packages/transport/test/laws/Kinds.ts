/** The four kinds of call, and their errors. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import { Grpc } from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Channels from "../../src/Channels.ts"
import { Health } from "../../src/Health.ts"
import * as Network from "../../src/Network.ts"
import * as Service from "../../src/Service.ts"
import { Echo as EchoDesc } from "../gen/test/v1/echo_pb.ts"
import { implement, join, serve, settled, type Serving, type Wire } from "../Harness.ts"

/** The same contract as a client that knows none of its reasons. */
class Bare extends Service.make<Bare>()(EchoDesc) {}

const bareOf = (server: Serving) =>
  Effect.map(
    Layer.build(
      Layer.fresh(Bare.client("discovery:///echo")).pipe(
        Layer.provide(Layer.fresh(Channels.layerTo(server.address))),
        Layer.provide(Layer.succeed(Network.Network, server.network))
      )
    ),
    (context) => Context.get(context, Bare)
  )

const text = (value: string) => ({ text: value })
const reasons = [
  ["THING_NOT_FOUND", "ThingNotFound"],
  ["QUOTA_EXHAUSTED", "QuotaExhausted"],
  ["TEAPOT", "Teapot"]
] as const

export const kinds = (wire: Wire): void => {
  describe("kinds", () => {
    it.effect("unary", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const payload = Uint8Array.of(0, 1, 255)
        const reply = yield* echo.unary({ text: "héllo", payload })
        assert.strictEqual(reply.text, "héllo")
        assert.deepStrictEqual([...reply.payload], [0, 1, 255])
        assert.strictEqual(reply.$typeName, "test.v1.EchoReply")
        assert.strictEqual((yield* echo.unary({})).text, "")
      })
    )

    it.effect("server streaming keeps order and ends", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const replies = yield* Stream.runCollect(echo.serverStream({ text: "s", count: 1000 }))
        assert.deepStrictEqual(
          replies.map((reply) => reply.index),
          Array.from({ length: 1000 }, (_, i) => i)
        )
      })
    )

    it.effect("client streaming", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const reply = yield* echo.clientStream(Stream.range(0, 499).pipe(Stream.map((n) => text(String(n)))))
        assert.strictEqual(reply.index, 500)
        assert.strictEqual(reply.text, Array.from({ length: 500 }, (_, i) => i).join(","))
      })
    )

    it.effect("bidi: replies come while requests are still being made", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        // each request is made from the reply before it
        const replies: Array<string> = []
        const { promise, resolve } = Promise.withResolvers<void>()
        const requests = Stream.concat(
          Stream.succeed(text("first")),
          Stream.fromEffect(
            Effect.as(
              Effect.promise(() => promise),
              text("second")
            )
          )
        )
        yield* Stream.runForEach(echo.bidi(requests), (reply) =>
          Effect.sync(() => {
            replies.push(reply.text)
            resolve()
          })
        )
        assert.deepStrictEqual(replies, ["first", "second"])
      })
    )

    it.effect("empty streams both ways", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({
          wire,
          implementation: implement({
            serverStream: () => Stream.empty,
            bidi: (requests) => Stream.map(requests, () => ({})),
            clientStream: (requests) => Effect.map(Stream.runCollect(requests), (all) => ({ index: all.length }))
          })
        })
        assert.lengthOf(yield* Stream.runCollect(echo.serverStream({})), 0)
        assert.lengthOf(yield* Stream.runCollect(echo.bidi(Stream.empty)), 0)
        assert.strictEqual((yield* echo.clientStream(Stream.empty)).index, 0)
      })
    )

    it.effect("a reply before the last request ends the call", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({
          wire,
          implementation: implement({
            clientStream: (requests) => Effect.map(Stream.runHead(requests), () => ({ text: "enough" })),
            bidi: (requests) => Stream.map(Stream.take(requests, 1), () => ({ text: "enough" }))
          })
        })
        const endless = Stream.concat(Stream.succeed(text("a")), Stream.never)
        assert.strictEqual((yield* echo.clientStream(endless)).text, "enough")
        assert.lengthOf(yield* Stream.runCollect(echo.bidi(endless)), 1)
      })
    )
  })

  describe("errors", () => {
    it.effect("each declared reason arrives as its class, before any message", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        for (const [failReason, tag] of reasons) {
          for (const failure of [
            yield* Effect.flip(echo.unary({ text: "why", failReason })),
            yield* Effect.flip(echo.clientStream(Stream.make({ text: "why", failReason })))
          ]) {
            assert.strictEqual(failure._tag, tag)
            assert.strictEqual(failure.message, `failed as asked: ${failReason}`)
            assert.deepStrictEqual(failure.metadata, { text: "why" })
          }
        }
      })
    )

    it.effect("and after messages, which all arrive before it", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        for (const [failReason, tag] of reasons) {
          for (const stream of [
            echo.serverStream({ text: "s", count: 3, failReason }),
            echo.bidi(Stream.concat(Stream.make({ text: "s", count: 3, failReason }), Stream.never))
          ]) {
            const seen: Array<number> = []
            const failure = yield* Effect.flip(Stream.runForEach(stream, (reply) => Effect.sync(() => seen.push(reply.index))))
            assert.strictEqual(failure._tag, tag)
            assert.deepStrictEqual(seen, [0, 1, 2])
          }
        }
      })
    )

    it.effect("catchTag catches what came over the wire", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const caught = yield* echo
          .unary({ failReason: "TEAPOT" })
          .pipe(Effect.catchTag("Teapot", (error) => Effect.succeed({ text: error._tag })))
        assert.strictEqual(caught.text, "Teapot")
      })
    )

    it.effect("a reason that the client's contract has not is a KratosError with everything in it", () =>
      Effect.gen(function* () {
        const server = yield* join({ wire })
        const bare = yield* bareOf(server)
        const failure = yield* Effect.flip(bare.unary({ text: "t", failReason: "QUOTA_EXHAUSTED" }))
        assert.strictEqual(failure._tag, "KratosError")
        assert.deepStrictEqual(
          [failure.code, failure.reason, failure.message],
          [429, "QUOTA_EXHAUSTED", "failed as asked: QUOTA_EXHAUSTED"]
        )
        assert.deepStrictEqual(failure.metadata, { text: "t" })
      })
    )

    it.effect("a KratosError keeps code, reason, message and metadata", () =>
      Effect.gen(function* () {
        const thrown = KratosError.conflict("BUSY", "später: 100 %\n🙂", { metadata: { retry: "5", ключ: "значение" } })
        const { echo } = yield* join({
          wire,
          implementation: implement({ unary: () => Effect.fail(thrown), serverStream: () => Stream.fail(thrown) })
        })
        for (const failure of [yield* Effect.flip(echo.unary({})), yield* Effect.flip(Stream.runDrain(echo.serverStream({})))]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.deepStrictEqual(failure.toJSON(), thrown.toJSON())
        }
      })
    )

    it.effect("a defect is 500 without detail, in all kinds", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const failReason = "database password is hunter2"
        for (const failure of [
          yield* Effect.flip(echo.unary({ failReason })),
          yield* Effect.flip(echo.clientStream(Stream.make({ failReason }))),
          yield* Effect.flip(Stream.runDrain(echo.serverStream({ failReason, count: 2 }))),
          yield* Effect.flip(Stream.runDrain(echo.bidi(Stream.make({ failReason }))))
        ]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.deepInclude(failure.toJSON(), { code: 500, reason: "", message: "internal error", metadata: {} })
          assert.notInclude(JSON.stringify(failure), "hunter2")
        }
      })
    )

    it.effect("a handler that throws, or replies with what is no message, is 500", () =>
      Effect.gen(function* () {
        const wrong = { index: 1.5 } // no int32
        const { echo } = yield* join({
          wire,
          implementation: implement({
            unary: () => {
              throw new Error("hunter2")
            },
            old: () => Effect.succeed(wrong),
            serverStream: () => Stream.make({ text: "good" }, wrong)
          })
        })
        for (const failure of [
          yield* Effect.flip(echo.unary({})),
          yield* Effect.flip(echo.old({})),
          yield* Effect.flip(Stream.runDrain(echo.serverStream({})))
        ]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.deepInclude(failure.toJSON(), { code: 500, message: "internal error" })
        }
      })
    )

    it.effect("a request that is no message fails typed on the client, in all kinds", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire })
        const wrong = { count: 1.5 } // no int32
        for (const failure of [
          yield* Effect.flip(echo.unary(wrong)),
          yield* Effect.flip(Stream.runDrain(echo.serverStream(wrong))),
          yield* Effect.flip(echo.clientStream(Stream.make(wrong))),
          yield* Effect.flip(Stream.runDrain(echo.bidi(Stream.make(wrong))))
        ]) {
          assert.instanceOf(failure, KratosError.KratosError)
          assert.deepInclude(failure.toJSON(), { code: 400, reason: "CODEC" })
        }
      })
    )

    it.effect("a request stream that fails gives its own error and cancels the handler", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        const requests = Stream.concat(Stream.make(text("a")), Stream.fail("mine" as const))
        assert.strictEqual(yield* Effect.flip(echo.clientStream(requests)), "mine")
        assert.strictEqual(yield* Effect.flip(Stream.runDrain(echo.bidi(requests))), "mine")
        yield* settled(journal)
      })
    )

    it.effect("what nobody implements is UNIMPLEMENTED", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire, health: false })
        const context = yield* Layer.build(
          Layer.fresh(Health.client("discovery:///echo")).pipe(
            Layer.provide(Layer.fresh(Channels.layerTo(server.address))),
            Layer.provide(Layer.succeed(Network.Network, server.network))
          )
        )
        const failure = yield* Effect.flip(Context.get(context, Health).check({}))
        assert.strictEqual(failure._tag, "KratosError")
        assert.deepStrictEqual([failure.code, failure.grpc], [501, Grpc.UNIMPLEMENTED])
      })
    )
  })
}
