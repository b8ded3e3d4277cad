import { assert, describe, it } from "@effect/vitest"
import * as Tally from "../src/Tally.ts"

const file = (status: string, ...tests: ReadonlyArray<string>) => ({
  name: "a.test.ts",
  status,
  assertionResults: tests.map((test, i) => ({ status: test, fullName: `test ${i}` }))
})

describe("Tally", () => {
  it("counts tests by verdict over all files", () => {
    const report = {
      success: false,
      testResults: [file("passed", "passed", "skipped", "pending", "todo"), file("failed", "failed", "passed")]
    }
    assert.deepStrictEqual(Tally.of(report), { passed: 2, failed: 1, skipped: 3 })
  })

  it("counts a file that fails beside its tests", () => {
    assert.deepStrictEqual(Tally.of({ success: false, testResults: [file("failed"), file("failed", "passed")] }), {
      passed: 1,
      failed: 2,
      skipped: 0
    })
  })

  it("counts a run that fails beside its files, and one without any", () => {
    assert.deepStrictEqual(Tally.of({ success: false, testResults: [file("passed", "passed")] }), { passed: 1, failed: 1, skipped: 0 })
    assert.deepStrictEqual(Tally.of({ success: false, testResults: [] }), { passed: 0, failed: 1, skipped: 0 })
  })

  it("names what did not pass", () => {
    const report = { success: false, testResults: [file("failed", "passed", "failed", "pending"), file("failed", "passed")] }
    assert.deepStrictEqual(Tally.exceptions(report), ["failed: a.test.ts > test 1", "skipped: a.test.ts > test 2", "failed: a.test.ts"])
  })

  it("says how tests failed, and files beside their tests", () => {
    const failed = { status: "failed", fullName: "test", failureMessages: ["Error: no\n\n    at x.ts:1:2"] }
    const report = {
      success: false,
      testResults: [
        { name: "a.test.ts", status: "failed", assertionResults: [failed, { status: "passed", fullName: "b" }] },
        { name: "b.test.ts", status: "failed", message: "cannot load", assertionResults: [] }
      ]
    }
    assert.deepStrictEqual(Tally.failures(report), ["a.test.ts > test\n    Error: no\n    at x.ts:1:2", "b.test.ts\n    cannot load"])
  })

  it("mentions the skipped only when there are any", () => {
    assert.strictEqual(Tally.format({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed")
    assert.strictEqual(Tally.format({ passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped")
  })
})
