/** Completes `package-lock.json` (see src/Lockfile.ts); with `--check` only reports what is wrong and exits with 1. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Lockfile } from "./src/Lockfile.ts"
import { complete, problems } from "./src/Lockfile.ts"

const path = fileURLToPath(new URL("../package-lock.json", import.meta.url))
const text = readFileSync(path, "utf8")
// npm writes this file and the fields that are read are all optional
const lock = JSON.parse(text) as Lockfile

if (process.argv.includes("--check")) {
  const found = problems(lock)
  for (const problem of found) process.stderr.write(`lockfile: ${problem}\n`)
  if (found.length === 0) process.stdout.write("lockfile: ok\n")
  process.exitCode = found.length === 0 ? 0 : 1
} else {
  const completed = `${JSON.stringify(complete(lock), null, 2)}\n`
  if (completed !== text) writeFileSync(path, completed)
  process.stdout.write(completed === text ? "lockfile: unchanged\n" : "lockfile: completed\n")
}
