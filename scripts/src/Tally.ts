/** Counts what a run of Vitest did, from the report of its `json` reporter. */
export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** The part of the report that is read. */
export interface Report {
  readonly success: boolean
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    /** Of a file that fails beside its tests. */
    readonly message?: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName: string
      readonly failureMessages?: ReadonlyArray<string>
    }>
  }>
}

export const none: Tally = { passed: 0, failed: 0, skipped: 0 }

export const add = (a: Tally, b: Tally): Tally => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped
})

/**
 * Counts tests. A file that fails beside its tests (it does not load, a hook throws) is one failure more, a run that fails beside its
 * files (an error outside of any test) as well; a test without a verdict is skipped.
 */
export const of = (report: Report): Tally => {
  let tally = none
  for (const { assertionResults, status } of report.testResults) {
    const failures = assertionResults.filter((test) => test.status === "failed").length
    const passed = assertionResults.filter((test) => test.status === "passed").length
    tally = add(tally, {
      passed,
      failed: status === "failed" && failures === 0 ? 1 : failures,
      skipped: assertionResults.length - passed - failures
    })
  }
  return !report.success && tally.failed === 0 ? { ...tally, failed: 1 } : tally
}

/** `12 passed, 0 failed`, with the skipped when there are any. */
export const format = ({ failed, passed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`

/** The names of failed and skipped tests, for those who read only the end of a log. */
export const exceptions = (report: Report): ReadonlyArray<string> =>
  report.testResults.flatMap(({ assertionResults, name, status }) => {
    const tests = assertionResults.flatMap((test) =>
      test.status === "passed" ? [] : [`${test.status === "failed" ? "failed" : "skipped"}: ${name} > ${test.fullName}`]
    )
    return status === "failed" && tests.every((test) => !test.startsWith("failed")) ? [...tests, `failed: ${name}`] : tests
  })

/** How much of why one test failed is shown, in lines. */
const LINES = 8

/** Each failed test and how it failed, for the end of a log. */
export const failures = (report: Report): ReadonlyArray<string> =>
  report.testResults.flatMap(({ assertionResults, message = "", name, status }) => {
    const failed = assertionResults.filter((test) => test.status === "failed")
    if (failed.length === 0) return status === "failed" ? [`${name}${indented(message)}`] : []
    return failed.map(({ failureMessages = [], fullName }) => `${name} > ${fullName}${indented(failureMessages.join("\n"))}`)
  })

const indented = (text: string): string =>
  text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, LINES)
    .map((line) => `\n    ${line.trim().slice(0, 300)}`)
    .join("")
