/** Runs the generator and fails when that changes, adds or removes a file: what is committed is what the protos say. */
import { createHash } from "node:crypto"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { readFileSync } from "node:fs"
import * as Changes from "./src/Changes.ts"
import * as Repository from "./src/Repository.ts"

const snapshot = (): Changes.Snapshot =>
  new Map(
    Repository.files().map((path) => [
      path,
      createHash("sha256")
        .update(readFileSync(join(Repository.root, path)))
        .digest("hex")
    ])
  )

const before = snapshot()
const { status } = spawnSync(process.execPath, [join(Repository.root, "scripts/generate.ts")], {
  cwd: Repository.root,
  stdio: ["ignore", "inherit", "inherit"]
})
const changes = Changes.between(before, snapshot())

for (const change of changes) process.stderr.write(`generated: ${change}\n`)
if (status !== 0) process.stderr.write(`generated: the generator ended with ${status}\n`)
if (status === 0 && changes.length === 0) process.stdout.write("generated: up to date\n")
process.exitCode = status === 0 && changes.length === 0 ? 0 : 1
