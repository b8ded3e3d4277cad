/** Counts fibers, to show that none is left behind. It sees those whose context descends from its layer: provide it outermost. */
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"

export interface FiberCensus {
  /** Fibers that have begun and not ended. */
  readonly running: () => number
  readonly layer: Layer.Layer<never>
}

/** It takes the place of Effect's own metrics of fibers. */
export const make = (): FiberCensus => {
  let running = 0
  const metrics: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => void running++,
    recordFiberEnd: () => void running--
  }
  return { running: () => running, layer: Layer.succeed(Metric.FiberRuntimeMetrics, metrics) }
}
