import { assert, describe, it } from "@effect/vitest"
import * as Statistics from "../src/Statistics.ts"

describe("Statistics", () => {
  it("takes the middle value, whatever the order", () => {
    assert.strictEqual(Statistics.median([9, 1, 5]), 5)
    assert.strictEqual(Statistics.median([4, 1, 3, 2]), 2.5)
    assert.strictEqual(Statistics.median([100, 9]), 54.5)
    assert.strictEqual(Statistics.median([7]), 7)
    assert.isNaN(Statistics.median([]))
  })

  it("compares inside each round, so that a slow minute of the machine does not count", () => {
    const fast = [200, 100, 20]
    const slow = [100, 50, 10]
    assert.strictEqual(Statistics.ratio(fast, slow), 2)
    // the medians of the two alone would say 100 / 10
    assert.strictEqual(Statistics.ratio([200, 100, 20], [100, 10, 10]), 2)
  })

  it("ignores rounds that the other does not have", () => {
    assert.strictEqual(Statistics.ratio([10, 20, 1000], [5, 10]), 2)
    assert.strictEqual(Statistics.ratio([10], [5, 1]), 2)
  })

  it("gives each subject its ratio to every other one, and reciprocal ones", () => {
    const all = new Map([
      ["a", [10, 10]],
      ["b", [5, 5]],
      ["c", [20, 20]]
    ])
    assert.deepStrictEqual(Statistics.ratios("a", all), { b: 2, c: 0.5 })
    assert.deepStrictEqual(Statistics.ratios("b", all), { a: 0.5, c: 0.25 })
  })

  it("measures the spread as half the range over the median", () => {
    assert.strictEqual(Statistics.spread([90, 100, 110]), 0.1)
    assert.strictEqual(Statistics.spread([5]), 0)
  })
})
