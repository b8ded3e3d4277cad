import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as OutlierStatistics from "../src/OutlierStatistics.ts"

const node = (successes: number, failures: number): OutlierStatistics.Counts => ({ successes, failures })
const times = (count: number, one: OutlierStatistics.Counts) => Array.from({ length: count }, () => ({ ...one }))

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 }))
const fleet = Schema.Array(Schema.Struct({ successes: count, failures: count }))

describe("OutlierStatistics, success rate", () => {
  it("finds the node below the mean by 1.9 standard deviations", () => {
    const bad = node(50, 50)
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(9, node(99, 1)), bad]), [bad])
    // 4 and 1: the one is exactly 2 standard deviations below
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(4, node(100, 0)), bad]), [bad])
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(4, node(100, 0)), bad], { stdevFactor: 2.1 }), [])
  })

  it("judges no fleet of less than five nodes with a hundred calls each", () => {
    const bad = node(0, 100)
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(3, node(100, 0)), bad]), [])
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(3, node(100, 0)), node(99, 0), bad]), [])
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([...times(4, node(100, 0)), node(99, 0), bad]), [bad])
    assert.deepStrictEqual(OutlierStatistics.bySuccessRate([], { minimumHosts: 0, requestVolume: 0 }), [])
  })

  it.effect.prop("never takes the best node, nor any of a fleet of equals", [fleet], ([fleet]) =>
    Effect.gen(function* () {
      const options = { minimumHosts: 1, requestVolume: 1 }
      const outliers = OutlierStatistics.bySuccessRate(fleet, options)
      const judged = fleet.filter((each) => OutlierStatistics.volume(each) > 0)
      const best = Math.max(...judged.map(OutlierStatistics.successRate))
      for (const outlier of outliers) assert.isBelow(OutlierStatistics.successRate(outlier), best)
      for (const each of fleet.slice(0, 1)) assert.deepStrictEqual(OutlierStatistics.bySuccessRate(times(7, each), options), [])
      yield* Effect.void
    })
  )
})

describe("OutlierStatistics, failure percentage", () => {
  it("finds the nodes of whose calls more than 85 % fail", () => {
    const bad = node(14, 86)
    assert.deepStrictEqual(OutlierStatistics.byFailurePercentage([...times(4, node(15, 85)), bad]), [bad])
    assert.deepStrictEqual(OutlierStatistics.byFailurePercentage(times(4, bad)), [], "too few nodes")
    assert.deepStrictEqual(OutlierStatistics.byFailurePercentage(times(5, node(0, 49))), [], "too few calls")
    assert.strictEqual(OutlierStatistics.byFailurePercentage(times(5, node(0, 50))).length, 5)
    assert.deepStrictEqual(OutlierStatistics.byFailurePercentage(times(5, node(0, 0)), { requestVolume: 0, threshold: 0 }), [])
  })
})

describe("OutlierStatistics, consecutive failures", () => {
  it("finds five in a row, and begins again", () => {
    const self = OutlierStatistics.consecutiveFailures()
    const run = (length: number) => Array.from({ length }, () => self.fail())
    assert.deepStrictEqual(run(4), [false, false, false, false])
    self.succeed()
    assert.deepStrictEqual(run(5), [false, false, false, false, true])
    assert.strictEqual(self.length(), 0)
    assert.deepStrictEqual(run(5).at(-1), true)
  })
})

describe("OutlierStatistics, distribution", () => {
  it("is that of the whole population", () => {
    assert.deepStrictEqual(OutlierStatistics.distribution([2, 4, 4, 4, 5, 5, 7, 9]), { mean: 5, stdev: 2 })
  })
})
