/** Cancellation, back-pressure, and many calls at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { random } from "../codec/randomMessage.ts"
import { clientOf, implement, join, reaches, serve, settled, settles, until, type Wire } from "../Harness.ts"

/** On the clock of the tests it never passes. */
const delayMs = 1_000_000_000

/** Noise, whose size does not shrink on wires that compress. */
const noise = random(1)
const payload = Uint8Array.from({ length: 16_384 }, () => noise.below(256))

export const cancellation = (wire: Wire): void => {
  describe("cancellation", () => {
    it.effect("an interrupted caller interrupts the handler, in all kinds", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          echo.unary({ delayMs }),
          Stream.runDrain(echo.serverStream({ delayMs })),
          echo.clientStream(Stream.never),
          Stream.runDrain(echo.bidi(Stream.never)),
          Stream.runDrain(echo.bidi(Stream.make({ delayMs })))
        ]
        let interrupted = 0
        for (const call of calls) {
          const fiber = yield* Effect.forkChild(call)
          yield* reaches(journal.open, 1)
          yield* Fiber.interrupt(fiber)
          yield* settled(journal)
          assert.strictEqual(yield* Ref.get(journal.interrupted), ++interrupted)
        }
      })
    )

    it.effect("also while messages flow", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        const requests = Stream.forever(Stream.make({ text: "x", count: 10 }))
        let interrupted = 0
        for (const call of [
          (got: () => void) => Stream.runForEach(echo.serverStream({ count: 2_000_000_000 }), () => Effect.sync(got)),
          (got: () => void) => Stream.runForEach(echo.bidi(requests), () => Effect.sync(got))
        ]) {
          let count = 0
          const fiber = yield* Effect.forkChild(call(() => count++))
          yield* until(Effect.sync(() => count > 1000))
          yield* Fiber.interrupt(fiber)
          yield* settled(journal)
          assert.strictEqual(yield* Ref.get(journal.interrupted), ++interrupted)
        }
      })
    )

    it.effect("a reply stream that is not read to its end interrupts the server", () =>
      Effect.gen(function* () {
        const { echo, journal } = yield* join({ wire })
        assert.lengthOf(yield* Stream.runCollect(Stream.take(echo.serverStream({ count: 2_000_000_000 }), 5)), 5)
        yield* settled(journal)
        assert.strictEqual(yield* Ref.get(journal.interrupted), 1)
        assert.lengthOf(yield* Stream.runCollect(Stream.take(echo.bidi(Stream.forever(Stream.make({}))), 5)), 5)
        yield* settled(journal)
        assert.strictEqual(yield* Ref.get(journal.interrupted), 2)
      })
    )

    it.effect("the stream of requests is finalised when the call ends, however it ends", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({
          wire,
          implementation: implement({ clientStream: (requests) => Effect.as(Stream.runHead(requests), {}), bidi: () => Stream.never })
        })
        let open = 0
        const requests = Stream.concat(Stream.make({}), Stream.never).pipe(
          Stream.onStart(Effect.sync(() => open++)),
          Stream.ensuring(Effect.sync(() => open--))
        )
        yield* echo.clientStream(requests)
        yield* until(Effect.sync(() => open === 0))
        const fiber = yield* Effect.forkChild(Stream.runDrain(echo.bidi(requests)))
        yield* until(Effect.sync(() => open === 1))
        yield* Fiber.interrupt(fiber)
        yield* until(Effect.sync(() => open === 0))
      })
    )

    it.effect("a caller that gives up while the connection is being made does not spoil it for the others", () =>
      Effect.gen(function* () {
        const server = yield* serve({ wire })
        const gate = yield* Latch.make()
        let connects = 0
        const { echo } = yield* clientOf({
          address: server.address,
          network: {
            ...server.network,
            connect: (to) => Effect.suspend(() => (connects++, Effect.andThen(gate.await, server.network.connect(to))))
          }
        })
        const first = yield* Effect.forkChild(echo.unary({}))
        const second = yield* Effect.forkChild(echo.unary({ text: "second" }))
        yield* until(Effect.sync(() => connects === 1))
        yield* Fiber.interrupt(first)
        yield* gate.open
        assert.strictEqual((yield* Fiber.join(second)).text, "second")
        assert.strictEqual(connects, 1)
      })
    )
  })
}

/** For wires whose flow control bounds what is under way. */
export const backPressure = (wire: Wire): void => {
  describe("back-pressure", () => {
    // what the receiver's window (256 KiB) and the sender's queue (64 KiB) hold, and what is in hand
    const most = (262_144 + 65_536) / payload.length + 4

    it.effect("a slow consumer stops the producer of a server", () =>
      Effect.gen(function* () {
        let produced = 0
        let consumed = 0
        const { echo } = yield* join({
          wire,
          implementation: implement({
            serverStream: () => Stream.forever(Stream.make({ payload })).pipe(Stream.tap(() => Effect.sync(() => produced++)))
          })
        })
        const gate = yield* Latch.make()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(Stream.take(echo.serverStream({}), 500), () =>
            Effect.andThen(
              Effect.sync(() => consumed++),
              gate.await
            )
          )
        )
        yield* until(Effect.sync(() => consumed === 1))
        const stopped = yield* settles(() => produced)
        assert.isAtLeast(stopped, 2)
        assert.isAtMost(stopped, most * 2) // one window is read into the client, another is on the wire
        yield* gate.open
        yield* Fiber.join(fiber)
        assert.strictEqual(consumed, 500)
      })
    )

    it.effect("a slow handler stops the producer of a client", () =>
      Effect.gen(function* () {
        let produced = 0
        let consumed = 0
        const gate = yield* Latch.make()
        const { echo } = yield* join({
          wire,
          implementation: implement({
            clientStream: (requests) =>
              Effect.as(
                Stream.runForEach(requests, () =>
                  Effect.andThen(
                    Effect.sync(() => consumed++),
                    gate.await
                  )
                ),
                {}
              ),
            bidi: (requests) => Stream.mapEffect(requests, () => Effect.as(gate.await, {}))
          })
        })
        const requests = Stream.forever(Stream.make({ payload })).pipe(Stream.tap(() => Effect.sync(() => produced++)))
        const fiber = yield* Effect.forkChild(echo.clientStream(Stream.take(requests, 500)))
        yield* until(Effect.sync(() => consumed === 1))
        assert.isAtMost(yield* settles(() => produced), most * 2)
        yield* gate.open
        yield* Fiber.join(fiber)
        assert.strictEqual(consumed, 500)
      })
    )

    it.effect("one huge batch is encoded as the wire takes it", () =>
      Effect.gen(function* () {
        let encoded = 0
        const batch = Array.from({ length: 2000 }, () => ({
          get payload() {
            encoded++
            return payload
          }
        }))
        const { echo } = yield* join({
          wire,
          implementation: implement({
            serverStream: () => Stream.fromIterable(batch),
            clientStream: (requests) =>
              Effect.andThen(
                Stream.runForEach(requests, () => Effect.never),
                Effect.succeed({})
              )
          })
        })
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          Stream.runForEach(echo.serverStream({}), () => Effect.never),
          echo.clientStream(Stream.fromIterable(batch))
        ]
        for (const call of calls) {
          encoded = 0
          const fiber = yield* Effect.forkChild(call)
          yield* until(Effect.sync(() => encoded > 0))
          assert.isAtMost(yield* settles(() => encoded), most * 4) // the encoder may look twice
          yield* Fiber.interrupt(fiber)
        }
      })
    )

    it.effect("a stream that nobody reads does not hold up other calls on the connection", () =>
      Effect.gen(function* () {
        const { echo } = yield* join({ wire, client: { maxMessageBytes: 1 << 20 } })
        let got = 0
        const fiber = yield* Effect.forkChild(
          Effect.all(
            Array.from({ length: 8 }, () =>
              Stream.runForEach(echo.serverStream({ payload, count: 1_000_000 }), () =>
                Effect.andThen(
                  Effect.sync(() => got++),
                  Effect.never
                )
              )
            ),
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => got === 8))
        yield* settles(() => got)
        assert.strictEqual((yield* echo.unary({ text: "through" })).text, "through")
        yield* Fiber.interrupt(fiber)
      })
    )
  })

  describe("many at once", () => {
    it.effect("300 calls on one connection, though it takes 256", () =>
      Effect.gen(function* () {
        const gate = yield* Latch.make()
        let open = 0
        const server = yield* serve({
          wire,
          implementation: implement({
            unary: ({ text }) =>
              Effect.as(
                Effect.andThen(
                  Effect.sync(() => open++),
                  gate.await
                ),
                { text }
              )
          })
        })
        let connects = 0
        const { echo } = yield* clientOf(
          {
            address: server.address,
            network: { ...server.network, connect: (to) => Effect.suspend(() => (connects++, server.network.connect(to))) }
          },
          undefined,
          { maxConnections: 1 }
        )
        const texts = Array.from({ length: 300 }, (_, i) => String(i))
        const fiber = yield* Effect.forkChild(
          Effect.all(
            texts.map((text) => echo.unary({ text })),
            { concurrency: "unbounded" }
          )
        )
        yield* until(Effect.sync(() => open >= 256))
        assert.strictEqual(yield* settles(() => open), 256)
        yield* gate.open
        assert.deepStrictEqual(
          (yield* Fiber.join(fiber)).map(({ text }) => text),
          texts
        )
        assert.strictEqual(connects, 1)
      })
    )
  })
}
