import { assert, describe, it } from "@effect/vitest"
import * as Group from "../src/Group.ts"

describe("Group", () => {
  it("makes one a key, once, until it is reset", () => {
    let made = 0
    const self = Group.make((key) => `${key} ${++made}`)
    assert.strictEqual(made, 0)
    assert.deepStrictEqual([self.get("a"), self.get("b"), self.get("a")], ["a 1", "b 2", "a 1"])
    self.reset("a")
    assert.deepStrictEqual([self.get("a"), self.get("b")], ["a 3", "b 2"])
    self.clear()
    assert.strictEqual(self.size(), 0)
    assert.strictEqual(self.get("b"), "b 4")
    const nothing = Group.make(() => void made++)
    nothing.get("a")
    nothing.get("a")
    assert.strictEqual(made, 5)
  })

  it("forgets the one used least recently", () => {
    let made = 0
    const self = Group.make(() => ++made, { capacity: 2 })
    for (const key of ["a", "b", "a", "c"]) self.get(key)
    assert.deepStrictEqual([self.size(), self.get("a"), self.get("b")], [2, 1, 4])
  })
})
