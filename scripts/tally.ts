/**
 * Prints `<passed> <failed> <skipped>` of a Vitest JSON report; names failed and skipped tests on standard error, and appends how tests failed to the file that
 * the second argument names. Exits with 1 when the report cannot be read.
 */
import { appendFileSync, readFileSync } from "node:fs"
import type { Report } from "./src/Tally.ts"
import * as Tally from "./src/Tally.ts"

// Vitest writes this file
const report = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Report
for (const exception of Tally.exceptions(report)) process.stderr.write(`${exception}\n`)
const [, , , log] = process.argv
if (log !== undefined) for (const failure of Tally.failures(report)) appendFileSync(log, `${failure}\n`)
const { failed, passed, skipped } = Tally.of(report)
process.stdout.write(`${passed} ${failed} ${skipped}\n`)
