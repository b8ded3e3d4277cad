/** How long to leave a peer alone that could not be reached: gRPC's connection back-off (grpc/doc/connection-backoff.md). */
import * as Duration from "effect/Duration"

export interface Options {
  /** After the first failure. Default 1 second. */
  readonly initial?: Duration.Input | undefined
  /** Growth with every further failure. Default 1.6. */
  readonly factor?: number | undefined
  /** Share of the time by which it is randomly longer or shorter. Default 0.2. */
  readonly jitter?: number | undefined
  /** Longest time before jitter. Default 2 minutes. */
  readonly max?: Duration.Input | undefined
}

/** Whatever the options say, in milliseconds: a loop of attempts is no back-off. */
const LEAST = 10

/** Milliseconds after the `failures`-th failure in a row, from 1; `random` is in [0, 1). */
export const delay = (options: Options, failures: number, random: number): number => {
  const { factor = 1.6, initial = "1 second", jitter = 0.2, max = "2 minutes" } = options
  const base = Math.min(Duration.toMillis(max), Duration.toMillis(initial) * factor ** (failures - 1))
  return Math.max(LEAST, base * (1 + jitter * (2 * random - 1)))
}
