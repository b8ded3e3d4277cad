/** What the load generator prints, as one line of JSON. */
export interface ReplayReport {
  /** Calls answered a second while it was timed. */
  readonly rate: number
  /** Calls answered in all, those before the timed part included. */
  readonly done: number
  /** How long it was timed, in seconds. */
  readonly seconds: number
  /** Bytes of DATA that came. */
  readonly bytes: number
  /** Milliseconds from when a call was due until its answer, of an open load. */
  readonly p50: number
  readonly p99: number
}

/** The smallest value that `share` of all values do not exceed; NaN for none. Sorts `values`. */
export const percentile = (values: Float64Array, share: number): number =>
  values.sort()[Math.max(0, Math.ceil(values.length * share) - 1)] ?? Number.NaN
