/**
 * Which of several nodes fail much more than the others: the two comparisons of gRPC's outlier detection (gRFC A50) with its defaults, and
 * the run of failures that Envoy looks at. Plain functions of counts; taking nodes out, and for how long, is for others to decide.
 */

/** What became of the calls to a node in an interval. */
export interface Counts {
  readonly successes: number
  readonly failures: number
}

export interface SuccessRateOptions {
  /** How many standard deviations below the mean of the success rates an outlier is. 1.9. */
  readonly stdevFactor?: number | undefined
  /** With fewer nodes of enough calls, there are no outliers. 5. */
  readonly minimumHosts?: number | undefined
  /** Nodes with fewer calls are not judged. 100. */
  readonly requestVolume?: number | undefined
}

export interface FailurePercentageOptions {
  /** The share of failures, in percent, above which a node is an outlier. 85. */
  readonly threshold?: number | undefined
  /** With fewer nodes, whatever their calls, there are no outliers. 5. */
  readonly minimumHosts?: number | undefined
  /** Nodes with fewer calls are not judged. 50. */
  readonly requestVolume?: number | undefined
}

export const volume = ({ failures, successes }: Counts): number => successes + failures

/** The share of calls that succeeded, 0–1; NaN without calls. */
export const successRate = (counts: Counts): number => counts.successes / volume(counts)

export interface Distribution {
  readonly mean: number
  /** Of the whole population. */
  readonly stdev: number
}

/** NaN without values. */
export const distribution = (values: ReadonlyArray<number>): Distribution => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return { mean, stdev: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) }
}

/** The nodes whose success rate is more than `stdevFactor` standard deviations below the mean. */
export const bySuccessRate = <N extends Counts>(nodes: ReadonlyArray<N>, options: SuccessRateOptions = {}): ReadonlyArray<N> => {
  const { minimumHosts = 5, requestVolume = 100, stdevFactor = 1.9 } = options
  const judged = nodes.filter((node) => volume(node) >= Math.max(1, requestVolume))
  if (judged.length === 0 || judged.length < minimumHosts) return []
  const { mean, stdev } = distribution(judged.map(successRate))
  const least = mean - stdev * stdevFactor
  return judged.filter((node) => successRate(node) < least)
}

/** The nodes of whose calls more than `threshold` percent failed. */
export const byFailurePercentage = <N extends Counts>(
  nodes: ReadonlyArray<N>,
  options: FailurePercentageOptions = {}
): ReadonlyArray<N> => {
  const { minimumHosts = 5, requestVolume = 50, threshold = 85 } = options
  if (nodes.length < minimumHosts) return []
  return nodes.filter((node) => volume(node) >= Math.max(1, requestVolume) && (node.failures * 100) / volume(node) > threshold)
}

export interface ConsecutiveFailures {
  /** Ends the run. */
  readonly succeed: () => void
  /** Makes the run longer; true when it has just reached `threshold`, after which the next one begins. */
  readonly fail: () => boolean
  /** The length of the run. */
  readonly length: () => number
}

/** Finds runs of `threshold` failures (5, as in Envoy) without a success in between. */
export const consecutiveFailures = (threshold = 5): ConsecutiveFailures => {
  let length = 0
  return {
    succeed: () => {
      length = 0
    },
    fail: () => {
      if (++length < threshold) return false
      length = 0
      return true
    },
    length: () => length
  }
}
