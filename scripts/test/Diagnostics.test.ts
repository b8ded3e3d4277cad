import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const fixtures = new URL("./fixtures/diagnostics/", import.meta.url)
const tsc = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url))
const compile = (project: string) =>
  spawnSync(tsc, ["--pretty", "false", "-p", fileURLToPath(new URL(project, fixtures))], { encoding: "utf8" })

describe("tsc knows Effect", () => {
  it("fails on a floating Effect, a missing return and a bare clock", () => {
    const { status, stdout } = compile("unsound.json")
    assert.notStrictEqual(status, 0)
    const rules = [...stdout.matchAll(/unsound\.ts\((\d+),\d+\): error .* effect\((\w+)\)/g)].map(([, line, rule]) => `${line} ${rule}`)
    assert.deepStrictEqual(rules, ["4 floatingEffect", "5 missingReturnYieldStar", "6 globalDateInEffect"])
  })

  it("accepts sound code under the same options", () => {
    const { status, stdout } = compile("sound.json")
    assert.strictEqual(stdout, "")
    assert.strictEqual(status, 0)
  })
})
