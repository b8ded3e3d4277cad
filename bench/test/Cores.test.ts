import { assert, describe, it } from "@effect/vitest"
import * as Cores from "../src/Cores.ts"

describe("Cores", () => {
  it("reads the kernel's lists", () => {
    assert.deepStrictEqual(Cores.parseList("0-1"), [0, 1])
    assert.deepStrictEqual(Cores.parseList("3,8-10\n"), [3, 8, 9, 10])
    assert.deepStrictEqual(Cores.parseList(""), [])
    assert.strictEqual(Cores.parseList("0-999999999").length, 4096)
  })

  it("gives server and load a core each", () => {
    assert.deepStrictEqual(Cores.choose("/bin/taskset", [4, 6, 7]), {
      server: ["/bin/taskset", "-c", "4"],
      load: ["/bin/taskset", "-c", "6"],
      warning: undefined
    })
  })

  it("runs unpinned, with a warning, where it cannot", () => {
    for (const cores of [Cores.choose(undefined, [0, 1]), Cores.choose("/bin/taskset", [0]), Cores.choose("/bin/taskset", [])]) {
      assert.deepStrictEqual([cores.server, cores.load], [[], []])
      assert.isString(cores.warning)
    }
  })
})
