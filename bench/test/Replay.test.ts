import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { percentile } from "../src/replay/Report.ts"
import * as Replay from "../src/Replay.ts"

const report = { rate: 100, done: 200, seconds: 1, bytes: 4000, p50: 1, p99: 2 }

describe("Replay", () => {
  it("voids a run with answers that are no replies, with none, or without a report", () => {
    assert.deepStrictEqual(Result.getOrThrow(Replay.parse(JSON.stringify(report), 20)), report)
    for (const text of [
      JSON.stringify({ ...report, bytes: 3999 }),
      JSON.stringify({ ...report, done: 0 }),
      JSON.stringify({ ...report, rate: 0 }),
      "",
      "{"
    ]) {
      assert.isTrue(Result.isFailure(Replay.parse(text, 20)), text)
    }
  })

  it("takes percentiles that are values", () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => 100 - i)
    assert.strictEqual(percentile(values, 0.5), 50)
    assert.strictEqual(percentile(values, 0.99), 99)
    assert.strictEqual(percentile(Float64Array.of(7), 0.99), 7)
    assert.isNaN(percentile(new Float64Array(0), 0.5))
  })
})
