import { assert, describe, it } from "@effect/vitest"
import { StreamTable } from "../src/internal/StreamTable.ts"
import type { Stream } from "../src/Stream.ts"
import * as Seeded from "./support/Seeded.ts"

describe("the table of streams", () => {
  it("agrees with a map, whatever comes and goes", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = Seeded.make(seed)
      const table = new StreamTable()
      const map = new Map<number, Stream>()
      // bursts, calm, and streams that outlive them
      const most = random.below(3) === 0 ? 3 : 400
      let id = 1
      for (let step = 0; step < 3000; step++) {
        if (map.size < most && random.below(100) < (step % 1000 < 500 ? 60 : 35)) {
          id += 2 * (1 + (random.below(20) === 0 ? random.below(300) : 0))
          // the table looks at nothing else
          const stream = { id } as Stream
          table.add(stream)
          map.set(id, stream)
        } else if (map.size > 0) {
          const ids = [...map.keys()]
          const gone = ids[random.below(3) === 0 ? random.below(ids.length) : ids.length - 1]!
          table.delete(map.get(gone)!)
          map.delete(gone)
        }
        assert.strictEqual(table.size, map.size)
        const any = 1 + random.below(id + 20)
        assert.strictEqual(table.get(any), map.get(any))
      }
      assert.deepStrictEqual(table.all(), [...map.values()])
      for (const [known, stream] of map) assert.strictEqual(table.get(known), stream)
      for (const stream of map.values()) table.delete(stream)
      // once more does nothing
      for (const stream of map.values()) table.delete(stream)
      assert.deepStrictEqual([table.size, table.all()], [0, []])
    }
  })
})
