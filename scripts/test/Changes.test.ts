import { assert, describe, it } from "@effect/vitest"
import * as Changes from "../src/Changes.ts"

describe("Changes.between", () => {
  it("names what is new, gone and changed, by path", () => {
    const before = new Map(Object.entries({ same: "1", edited: "1", deleted: "1" }))
    const after = new Map(Object.entries({ same: "1", edited: "2", added: "1" }))
    assert.deepStrictEqual(Changes.between(before, after), ["added is new", "deleted is gone", "edited changed"])
    assert.deepStrictEqual(Changes.between(before, before), [])
  })
})
