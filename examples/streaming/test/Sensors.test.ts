/** All four kinds over the wire: back-pressure, cancellation, deadlines, errors in the middle of a stream. */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Channels from "@effect-kratos/transport/Channels"
import * as Network from "@effect-kratos/transport/Network"
import * as Server from "@effect-kratos/transport/Server"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as aspects from "../src/aspects.ts"
import { SensorLost, SensorUnknown } from "../src/gen/sensor/v1/error_reason_effect.ts"
import { Sensors } from "../src/gen/sensor/v1/sensors_effect.ts"
import { Journal } from "../src/Journal.ts"
import { FRAGILE, SensorsLive } from "../src/SensorsLive.ts"
import * as tour from "../src/tour.ts"

const layer = () =>
  Sensors.client("direct:///sensors:1", { aspects: aspects.client }).pipe(
    Layer.provide(Channels.layerDirect),
    Layer.provide(Server.layer({ services: [Sensors], host: "sensors", port: 1, aspects: aspects.server })),
    Layer.provide(SensorsLive),
    Layer.provideMerge(Journal.layer),
    Layer.provide(Network.layerMemory),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
  )

const turn: Effect.Effect<void> = Effect.callback((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(turn, until(condition))))

/** The number when it has stopped growing. */
const settled = (read: Effect.Effect<number>): Effect.Effect<number> =>
  Effect.gen(function* () {
    let last = yield* read
    for (let same = 0; same < 50;) {
      yield* turn
      const next = yield* read
      same = next === last ? same + 1 : 0
      last = next
    }
    return last
  })

describe("streaming", () => {
  it.effect("makes the producer wait for a slow reader, and go on with it", () =>
    Effect.gen(function* () {
      const { watch } = yield* Sensors
      const { count } = yield* Journal
      const gate = yield* Deferred.make<void>()
      const reading = yield* watch({ sensor: "steady" }).pipe(
        Stream.tap(({ sequence }) => (sequence === 0 ? Deferred.await(gate) : Effect.void)),
        Stream.take(50_000),
        Stream.runCount,
        Effect.forkChild({ startImmediately: true })
      )
      yield* until(Effect.map(count, (n) => n > 0))
      const ahead = yield* settled(count)
      // what the windows of the connection hold, and no more
      assert.isBelow(ahead, 50_000)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(reading), 50_000)
      assert.isAbove(yield* count, ahead)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("interrupts the handler when the reader has enough", () =>
    Effect.gen(function* () {
      const { watch } = yield* Sensors
      const { ends } = yield* Journal
      const five = yield* watch({ sensor: "steady" }).pipe(Stream.take(5), Stream.runCollect)
      assert.deepStrictEqual(
        five.map(({ sequence }) => sequence),
        [0, 1, 2, 3, 4]
      )
      yield* until(Effect.map(ends, (all) => all.length === 1))
      assert.deepStrictEqual(yield* ends, ["watch: interrupted"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("delivers what came before an error, then the error as its class", () =>
    Effect.gen(function* () {
      const { watch } = yield* Sensors
      const seen: Array<number> = []
      const error = yield* Stream.runForEach(watch({ sensor: "fragile" }), ({ sequence }) =>
        Effect.sync(() => void seen.push(sequence))
      ).pipe(Effect.flip)
      assert.instanceOf(error, SensorLost)
      assert.lengthOf(seen, FRAGILE)
      assert.instanceOf(yield* Effect.flip(Stream.runDrain(watch({ sensor: "none" }))), SensorUnknown)
      assert.deepStrictEqual(yield* (yield* Journal).ends, ["watch: failed", "watch: failed"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("limits each kind as the aspects say", () =>
    Effect.gen(function* () {
      const { record, watch } = yield* Sensors
      const upload = yield* Effect.forkChild(Effect.flip(record(Stream.never)), { startImmediately: true })
      const subscription = yield* watch({ sensor: "steady", everyMs: 60_000 }).pipe(
        Stream.take(3),
        Stream.runCount,
        Effect.forkChild({ startImmediately: true })
      )
      yield* settled(Effect.succeed(0))
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(upload)
      assert.instanceOf(error, KratosError.KratosError)
      assert.strictEqual(error.code, 504)
      for (let minute = 0; minute < 3; minute++) {
        yield* settled(Effect.succeed(0))
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(yield* Fiber.join(subscription), 3)
    }).pipe(Effect.provide(layer()))
  )

  it.live("goes on the tour", () =>
    Effect.gen(function* () {
      const told = yield* Effect.forEach(tour.tour, ([what, call]) => Effect.map(call, (answer) => `${what}: ${answer}`))
      assert.deepStrictEqual(told, [
        "read: steady is at 0.00",
        "watch, five values: 0.00 0.10 0.20 0.30 0.39",
        "watch, an error: 0.00 0.10 0.20, then fragile has stopped",
        "watch, a while: some values in 200 ms",
        "record: 1000 values, 499.5 in the mean",
        "smooth: 0.00 5.00 7.50 8.75"
      ])
    }).pipe(Effect.provide(layer()))
  )
})
