/** The program as buf starts it: files written, warnings shown, a wrong contract refused. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const launcher = join(root, "packages/protoc-gen/bin/protoc-gen-effect")
let out = ""
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "protoc-gen-effect-"))
})
afterEach(() => rmSync(out, { recursive: true }))

const generate = (path: string) => {
  const template = { version: "v2", plugins: [{ local: [process.execPath, launcher], out, opt: ["target=ts", "import_extension=ts"] }] }
  const args = [
    "generate",
    "packages/protoc-gen/test/proto",
    "--path",
    `packages/protoc-gen/test/proto/${path}`,
    "--template",
    JSON.stringify(template)
  ]
  return spawnSync(join(root, "node_modules/.bin/buf"), args, { cwd: root, encoding: "utf8" })
}

describe("buf generate", () => {
  it("writes the golden files", () => {
    const { status, stderr } = generate("golden/methods")
    assert.strictEqual(status, 0, stderr)
    for (const name of ["methods_effect.ts", "reasons_effect.ts"]) {
      const written = readFileSync(join(out, "golden/methods/v1", name), "utf8")
      assert.strictEqual(written, readFileSync(join(root, "packages/protoc-gen/test/gen/golden/methods/v1", name), "utf8"))
    }
  })

  it("shows warnings and goes on", () => {
    const { status, stderr } = generate("bad/warnings.proto")
    assert.strictEqual(status, 0, stderr)
    assert.include(
      stderr,
      "protoc-gen-effect: warning: bad/warnings.proto: bad.warnings.Warnings.GetBody: a GET request should have no body"
    )
    assert.include(readFileSync(join(out, "bad/warnings_effect.ts"), "utf8"), "export class Warnings")
  })

  it("fails with every error of the contract", () => {
    const { status, stderr } = generate("bad/codes.proto")
    assert.notStrictEqual(status, 0)
    assert.include(stderr, "value TOO_HIGH has code 601")
    assert.include(stderr, "value INHERITED_UNSPECIFIED has code 1000")
  })

  it("says its version", () => {
    const { status, stdout } = spawnSync(process.execPath, [launcher, "--version"], { encoding: "utf8" })
    assert.strictEqual(status, 0)
    assert.match(stdout, /^protoc-gen-effect \d+\.\d+\.\d+\n$/)
  })
})
