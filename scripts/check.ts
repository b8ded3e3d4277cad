/**
 * Everything that can be said about the code without running it, one check after the other, all of them even when one fails:
 * `node scripts/check.ts` or, for some only, `node scripts/check.ts types lint`.
 */
import { spawnSync } from "node:child_process"
import { delimiter, join } from "node:path"
import * as Repository from "./src/Repository.ts"

const bin = join(Repository.root, "node_modules", ".bin")

const checks: Readonly<Record<string, ReadonlyArray<string>>> = {
  types: ["tsc", "-b"],
  lint: ["oxlint", "--deny-warnings"],
  format: ["oxfmt", "--check", "."],
  direction: ["node", "scripts/direction.ts"],
  ambient: ["node", "scripts/ambient.ts"],
  lockfile: ["node", "scripts/lockfile.ts", "--check"],
  docs: ["node", "scripts/docs.ts"],
  generated: ["node", "scripts/generated.ts"]
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks)
const failed = names.filter((name) => {
  const [command, ...args] = checks[name] ?? []
  if (command === undefined) {
    process.stderr.write(`check: there is no ${name}; there are ${Object.keys(checks).join(", ")}\n`)
    return true
  }
  const { status } = spawnSync(join(bin, command), args, {
    cwd: Repository.root,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` }
  })
  process.stdout.write(`check: ${name} ${status === 0 ? "ok" : "FAILED"}\n`)
  return status !== 0
})
process.exitCode = failed.length === 0 ? 0 : 1
