/**
 * How busy the processor is, as a service: what an adaptive limiter looks at. Sampling a machine takes its operating system, so the layers
 * that do it live with the transports; here is the smoothing, with the constants of Kratos: every 500 ms, and a sample weighs a twentieth.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as EventLoop from "./EventLoop.ts"

export interface Shape {
  /** The smoothed share of the available processor time in use, 0–1000. */
  readonly permille: () => number
  /** The event loop of the thread that serves, where it is measured. */
  readonly loop?: EventLoop.Shape | undefined
}

export class CpuUsage extends Context.Service<CpuUsage, Shape>()("@effect-kratos/aegis/CpuUsage") {}

export interface Options {
  /** Weight of the past, 0–1. Lower notices overload sooner and twitches more. 0.95: four fifths of a step are seen after 16 seconds. */
  readonly decay?: number | undefined
  /** 500 ms. */
  readonly interval?: Duration.Input | undefined
}

/** The constants of Kratos and aegis, and the defaults. A service that goes from idle into four times its load queues calls for 16 seconds before the limiter looks. */
export const kratos: Options = { decay: 0.95, interval: "500 millis" }

/** Sees four fifths of a step after 1.25 seconds. */
export const responsive: Options = { decay: 0.7, interval: "250 millis" }

/**
 * The next smoothed value: `previous · decay + sample · (1 − decay)`, as an integer. A sample counts for 1000 at most; one of 0 or none at
 * all (undefined) is a reading that failed, and changes nothing.
 */
export const smooth = (previous: number, sample: number | undefined, decay: number): number =>
  sample === undefined || !(sample > 0) ? previous : Math.trunc(previous * decay + Math.min(1000, sample) * (1 - decay))

/** Asks `sample` for a share in permille at each interval, until the scope closes. */
export const make = Effect.fnUntraced(function* (
  sample: Effect.Effect<number | undefined>,
  options: Options = {}
): Effect.fn.Return<Shape, never, Scope.Scope> {
  const { decay = 0.95, interval = "500 millis" } = options
  let permille = 0
  yield* sample.pipe(
    Effect.map((value) => {
      permille = smooth(permille, value, decay)
    }),
    Effect.delay(interval),
    Effect.forever,
    Effect.forkScoped
  )
  return { permille: () => permille }
})

/** Samples until the layer's scope closes. */
export const layer = (sample: Effect.Effect<number | undefined>, options?: Options): Layer.Layer<CpuUsage> =>
  Layer.effect(CpuUsage, make(sample, options))

/** Always the same value: for tests, and for where no limiter should see load. */
export const layerConst = (permille: number): Layer.Layer<CpuUsage> => Layer.succeed(CpuUsage, { permille: () => permille })

/** The same usage as a share of `quota` processors instead of the `processors` that were measured; for where the quota cannot be read. */
export const withQuota = (self: Shape, processors: number, quota: number): Shape => ({
  permille: () => Math.trunc((self.permille() * processors) / quota)
})
