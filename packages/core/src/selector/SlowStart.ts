/**
 * Eases calls onto a node that is new or was away, so that its caches and its compiler can warm up: its share of the weight grows from `minShare` to all of
 * it within `window`. Envoy's slow start. Consistent hashing takes no notice of it.
 */
import * as Duration from "effect/Duration"

export interface Options {
  /** Time until a node has its whole weight. Default 30 seconds. */
  readonly window?: Duration.Input | undefined
  /** How fast its share grows: it is the passed part of the window to the power of 1 / `aggression`. 1 grows evenly, more at the start. Default 1. */
  readonly aggression?: number | undefined
  /** Least share, in (0, 1]. Default 0.1. */
  readonly minShare?: number | undefined
}

export interface SlowStart {
  /** Of the weight, so many milliseconds after the node came. */
  readonly share: (age: number) => number
}

export const make = ({ aggression = 1, minShare = 0.1, window = "30 seconds" }: Options): SlowStart => {
  const whole = Duration.toMillis(window)
  const least = Math.min(1, Math.max(0.01, minShare))
  const power = 1 / Math.max(0.01, aggression)
  return { share: (age) => (age >= whole ? 1 : Math.max(least, (Math.max(0, age) / whole) ** power)) }
}
