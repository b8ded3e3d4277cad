/** Each kind once, as a client writes it, and the ways in which a stream ends. */
import type { KratosError } from "@effect-kratos/core/error/KratosError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Sensors } from "./gen/sensor/v1/sensors_effect.ts"

type Told = Effect.Effect<string, KratosError, Sensors>

const list = (readings: ReadonlyArray<{ readonly value: number }>): string => readings.map(({ value }) => value.toFixed(2)).join(" ")

/** Unary. */
export const read: Told = Effect.gen(function* () {
  const sensors = yield* Sensors
  const { value } = yield* sensors.read({ sensor: "steady" })
  return `steady is at ${value.toFixed(2)}`
}).pipe(Effect.catchTag("SensorUnknown", ({ message }) => Effect.succeed(message)))

/** Cancellation: whoever takes five values ends the call with the fifth, which interrupts the handler. */
export const watchFive: Told = Effect.gen(function* () {
  const sensors = yield* Sensors
  return list(yield* sensors.watch({ sensor: "steady", everyMs: 10 }).pipe(Stream.take(5), Stream.runCollect))
}).pipe(Effect.catchTags({ SensorUnknown: ({ message }) => Effect.succeed(message), SensorLost: ({ message }) => Effect.succeed(message) }))

/** An error in the middle: what came before it is there, and it is the contract's class. */
export const watchFragile: Told = Effect.gen(function* () {
  const sensors = yield* Sensors
  const seen: Array<{ readonly value: number }> = []
  return yield* Stream.runForEach(sensors.watch({ sensor: "fragile" }), (reading) => Effect.sync(() => void seen.push(reading))).pipe(
    Effect.as("it never ends"),
    Effect.catchTags({
      SensorLost: ({ message }) => Effect.succeed(`${list(seen)}, then ${message}`),
      SensorUnknown: ({ message }) => Effect.succeed(message)
    })
  )
})

/** A deadline for one stream, where the caller wants one: the server's handler has it, too. */
export const watchFor = (millis: number): Told =>
  Effect.gen(function* () {
    const sensors = yield* Sensors
    const values = yield* sensors
      .watch({ sensor: "steady", everyMs: 20 })
      .pipe(Stream.interruptWhen(Effect.sleep(millis)), Stream.runCollect)
    return `${values.length === 0 ? "no" : "some"} values in ${millis} ms`
  }).pipe(
    Effect.catchTags({ SensorUnknown: ({ message }) => Effect.succeed(message), SensorLost: ({ message }) => Effect.succeed(message) })
  )

/** Client streaming: the stream is read as the server takes it. */
export const record: Told = Effect.gen(function* () {
  const sensors = yield* Sensors
  const readings = Stream.range(0, 999).pipe(Stream.map((sequence) => ({ sensor: "mine", sequence, value: sequence })))
  const { count, mean } = yield* sensors.record(readings)
  return `${count} values, ${mean} in the mean`
}).pipe(Effect.catchTags({ SensorUnknown: ({ message }) => Effect.succeed(message), SensorLost: ({ message }) => Effect.succeed(message) }))

/** Both stream: the caller's values go one way while the smoothed ones come the other. */
export const smooth: Told = Effect.gen(function* () {
  const sensors = yield* Sensors
  const jumps = Stream.make(0, 10, 10, 10).pipe(
    Stream.zipWithIndex,
    Stream.map(([value, sequence]) => ({ sensor: "mine", sequence, value }))
  )
  return list(yield* Stream.runCollect(sensors.smooth(jumps)))
}).pipe(Effect.catchTags({ SensorUnknown: ({ message }) => Effect.succeed(message), SensorLost: ({ message }) => Effect.succeed(message) }))

export const tour: ReadonlyArray<readonly [what: string, call: Told]> = [
  ["read", read],
  ["watch, five values", watchFive],
  ["watch, an error", watchFragile],
  ["watch, a while", watchFor(200)],
  ["record", record],
  ["smooth", smooth]
]
