/** Writes all code that comes from contracts: runs buf on every buf.gen.yaml of the repository. The same contracts give the same bytes. */
import { spawnSync } from "node:child_process"
import { delimiter, dirname, join } from "node:path"
import * as Repository from "./src/Repository.ts"

const bin = join(Repository.root, "node_modules/.bin")
// buf finds plugins in PATH; they run on the Node that is pinned beside them
const env = { ...process.env, PATH: [bin, join(Repository.root, "packages/protoc-gen/bin"), process.env["PATH"]].join(delimiter) }

const templates = Repository.files().filter((path) => /(^|\/)buf\.gen\.yaml$/.test(path))
// the plugin's own descriptors come first, as it writes others
const own = "packages/protoc-gen/buf.gen.yaml"
const failed = [own, ...templates.filter((path) => path !== own)].filter((path) => {
  const { error, status } = spawnSync(join(bin, "buf"), ["generate"], {
    cwd: join(Repository.root, dirname(path)),
    env,
    stdio: "inherit",
    timeout: 120_000
  })
  if (status !== 0) process.stderr.write(`generate: ${path} failed${error === undefined ? "" : `: ${error.message}`}\n`)
  return status !== 0
})
process.exitCode = failed.length === 0 ? 0 : 1
