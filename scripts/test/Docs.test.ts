import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../docs.ts", import.meta.url))
const docs = (...documents: ReadonlyArray<string>) => spawnSync(process.execPath, [script, ...documents], { encoding: "utf8" })

// the first run after a change type-checks the packages that snippets import
describe("scripts/docs.ts", { timeout: 120_000 }, () => {
  it("accepts programs that do what their document says", () => {
    const { status, stderr, stdout } = docs("scripts/test/fixtures/docs/sound.md")
    assert.strictEqual(stderr, "")
    assert.strictEqual(stdout, "docs: ok, 1 documents, 2 programs, 1 run\n")
    assert.strictEqual(status, 0)
  })

  it("names the document and the line of every promise that does not hold", () => {
    const broken = "scripts/test/fixtures/docs/broken.md"
    const { status, stderr } = docs(broken)
    assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
      `docs: ${broken}: nowhere.md leads nowhere`,
      `docs: ${broken}(6,7): error TS2322: Type 'string' is not assignable to type 'number'.`,
      `docs: ${broken}: line-10.ts prints "two\\n" where the document says "one\\n"`,
      `docs: ${broken}: line-18.ts ended with 3:`
    ])
    assert.strictEqual(status, 1)
  })

  it("does not take an unknown document for a sound one", () => {
    const { status, stderr } = docs("docs/unwritten.md")
    assert.strictEqual(stderr, "docs: docs/unwritten.md: no such document\n")
    assert.strictEqual(status, 1)
  })
})
