/**
 * The service: one handler of each kind. A handler that takes a stream gets an Effect `Stream`, one that replies with a stream returns one; nothing is read
 * before it is wanted, on either side, so a caller who is slow makes the handler wait and a handler who is slow makes the caller wait.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { SensorLost, SensorUnknown } from "./gen/sensor/v1/error_reason_effect.ts"
import { Sensors } from "./gen/sensor/v1/sensors_effect.ts"
import { Journal } from "./Journal.ts"

/** After how many values the sensor `fragile` stops. */
export const FRAGILE = 3

const known = new Set(["steady", "fragile"])

const check = (sensor: string): Effect.Effect<void, SensorUnknown> =>
  known.has(sensor)
    ? Effect.void
    : Effect.fail(new SensorUnknown({ message: `there is no sensor ${sensor.slice(0, 40)}`, metadata: { sensor } }))

const value = (sequence: number): number => Math.round(100 * Math.sin(sequence / 10)) / 100

export const SensorsLive = Sensors.layer({
  *read({ sensor }) {
    yield* check(sensor)
    return { sensor, sequence: 0, value: value(0) }
  },

  watch: ({ everyMs, sensor }) =>
    Stream.fromEffectDrain(check(sensor)).pipe(
      Stream.concat(
        Stream.iterate(0, (n) => n + 1).pipe(
          Stream.mapEffect(
            Effect.fnUntraced(function* (sequence) {
              // an error in the middle arrives behind what was sent before it, as the same class on every wire that has a way to say it
              if (sensor === "fragile" && sequence === FRAGILE) return yield* new SensorLost({ message: `${sensor} has stopped` })
              if (everyMs > 0) yield* Effect.sleep(everyMs)
              yield* (yield* Journal).produced
              return { sensor, sequence, value: value(sequence) }
            })
          )
        )
      ),
      // runs when the caller has enough, goes away, or its deadline passes: as with any Effect, whoever opens something closes it here
      Stream.onExit((exit) => Effect.flatMap(Journal, (journal) => journal.ended("watch", exit)))
    ),

  *record(readings) {
    let count = 0
    let sum = 0
    // one message at a time: what is not read yet waits at the caller's
    yield* Stream.runForEach(readings, (reading) =>
      Effect.sync(() => {
        count++
        sum += reading.value
      })
    )
    return { count, mean: count === 0 ? 0 : sum / count }
  },

  smooth: (readings) =>
    readings.pipe(
      Stream.mapAccum(
        () => 0,
        (before, reading) => {
          const smoothed = reading.sequence === 0 ? reading.value : before * 0.5 + reading.value * 0.5
          return [smoothed, [{ sensor: reading.sensor, sequence: reading.sequence, value: smoothed }]] as const
        }
      ),
      Stream.onExit((exit) => Effect.flatMap(Journal, (journal) => journal.ended("smooth", exit)))
    )
})
