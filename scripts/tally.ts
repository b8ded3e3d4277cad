/** Prints `<passed> <failed> <skipped>` of a Vitest JSON report; names failed and skipped tests on standard error. Exits with 1 when it cannot be read. */
import { readFileSync } from "node:fs"
import type { Report } from "./src/Tally.ts"
import * as Tally from "./src/Tally.ts"

// Vitest writes this file
const report = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Report
for (const exception of Tally.exceptions(report)) process.stderr.write(`${exception}\n`)
const { failed, passed, skipped } = Tally.of(report)
process.stdout.write(`${passed} ${failed} ${skipped}\n`)
