import { assert, describe, it } from "@effect/vitest"
import * as Conformance from "../src/suites/Conformance.ts"

const count = (output: string, cases: number) => {
  const results = Conformance.parse(output, cases)
  return {
    passed: results.filter(({ outcome }) => outcome === "ok").length,
    failed: results.filter(({ outcome }) => outcome === "FAIL").map(({ name, why }) => [name, why.trim()])
  }
}

describe("what the conformance runner prints", () => {
  it("is read: failures by name with what is said of them, the rest by number", () => {
    const output =
      "FAILED: Basic/a:\n\tfirst\n\tsecond\nFAILED: Basic/b was expected to fail but did not\n\nTotal cases: 5\n3 passed, 2 failed\n"
    assert.deepStrictEqual(count(output, 5), {
      passed: 3,
      failed: [
        ["Basic/a", "first\n\tsecond"],
        ["Basic/b was expected to fail but did not", ""]
      ]
    })
  })

  it("passes nothing in silence: cases that were not run are a failure", () => {
    assert.deepStrictEqual(
      count("Total cases: 3\n3 passed, 0 failed\nAnother 2 could not be run", 5).failed.map(([name]) => name),
      ["all cases"]
    )
    assert.deepStrictEqual(count("", 5).passed, 0)
    assert.strictEqual(count("", 5).failed.length, 1)
  })
})
