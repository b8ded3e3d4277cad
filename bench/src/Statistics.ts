/**
 * What a run says. Rounds alternate between the subjects, so that the machine's drift hits all of them; a ratio is
 * therefore taken inside each round first, and only then is the middle of the rounds' ratios reported.
 */
export type Samples = ReadonlyArray<number>

/** The middle value, or the mean of the two middle ones. NaN for no samples. */
export const median = (samples: Samples): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2
}

/** How many times `self` is as fast as `other`: the median over the rounds that both have. */
export const ratio = (self: Samples, other: Samples): number =>
  median(self.slice(0, other.length).map((value, round) => value / (other[round] ?? Number.NaN)))

/** The ratio of one subject to each of the others, by name. */
export const ratios = (name: string, all: ReadonlyMap<string, Samples>): Readonly<Record<string, number>> => {
  const self = all.get(name) ?? []
  const result: Record<string, number> = {}
  for (const [other, samples] of all) {
    if (other !== name) result[other] = ratio(self, samples)
  }
  return result
}

/** Half the distance between the slowest and the fastest round, as a share of the median. */
export const spread = (samples: Samples): number => (Math.max(...samples) - Math.min(...samples)) / 2 / median(samples)
