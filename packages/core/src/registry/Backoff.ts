/**
 * How long to wait before a registry is asked again: full jitter over a window that doubles, as in "Exponential Backoff And Jitter" (AWS, 2015). A
 * thousand instances that lose their registry in the same moment come back spread over the window instead of all at once.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

export interface Options {
  /** The first window. Default: 2 seconds. */
  readonly initial?: Duration.Input | undefined
  /** The widest window: so long after its return a registry may have to wait for the last instance. Default: 10 seconds. */
  readonly max?: Duration.Input | undefined
}

/** The wait before attempt `n`, from 0, in milliseconds: anything from 0 to the n-th window. */
export type Backoff = (n: number) => Effect.Effect<number>

export const make = ({ initial = "2 seconds", max = "10 seconds" }: Options = {}): Backoff => {
  const first = Duration.toMillis(Duration.fromInputUnsafe(initial))
  const widest = Math.max(first, Duration.toMillis(Duration.fromInputUnsafe(max)))
  return (n) => Effect.map(Random.next, (chance) => chance * Math.min(widest, first * 2 ** Math.min(n, 30)))
}
