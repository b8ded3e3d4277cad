import { assert, describe, it } from "@effect/vitest"
import * as References from "../src/References.ts"

const core: References.Project = { folder: "packages/core", name: "@x/core", dependencies: ["effect"], references: [], typescript: true }
const transport: References.Project = {
  folder: "packages/transport",
  name: "@x/transport",
  dependencies: ["@x/core"],
  references: ["packages/core"],
  typescript: true
}

describe("References.problems", () => {
  it("accepts references that follow the dependencies", () => {
    assert.deepStrictEqual(References.problems([core, transport], ["packages/core", "packages/transport"]), [])
  })

  it("misses a project that the root does not list", () => {
    assert.deepStrictEqual(References.problems([core, transport], ["packages/core"]), [
      "tsconfig.json does not refer to packages/transport: nothing type-checks it"
    ])
  })

  it("misses a reference to a dependency", () => {
    assert.deepStrictEqual(References.problems([core, { ...transport, references: [] }], ["packages/core", "packages/transport"]), [
      "packages/transport/tsconfig.json does not refer to packages/core, which package.json depends on"
    ])
  })

  it("misses a tsconfig.json where there is TypeScript, and only there", () => {
    const bare = { ...core, references: undefined }
    assert.deepStrictEqual(References.problems([bare], []), ["packages/core has no tsconfig.json: nothing type-checks it"])
    assert.deepStrictEqual(References.problems([{ ...bare, typescript: false }], []), [])
  })
})
