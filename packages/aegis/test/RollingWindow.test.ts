import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as RollingWindow from "../src/RollingWindow.ts"

const steps = Schema.Array(
  Schema.Struct({
    wait: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })),
    value: Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 }))
  })
)

describe("RollingWindow", () => {
  it.effect.prop(
    "equals the sum over all that was added in the buckets it covers",
    [steps, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 12 }))],
    ([steps, buckets]) =>
      Effect.gen(function* () {
        const self = RollingWindow.make({ window: 100 * buckets, buckets })
        assert.strictEqual(self.bucketMillis, 100)
        const added: Array<{ readonly at: number; readonly value: number }> = []
        let now = 12_345
        for (const { value, wait } of steps) {
          now += wait
          self.add(now, value)
          added.push({ at: now, value })
          const newest = Math.floor(now / 100)
          const at = (age: number) => added.filter((each) => Math.floor(each.at / 100) === newest - age)
          const inside = added.filter((each) => Math.floor(each.at / 100) > newest - buckets)
          const sum = (all: typeof added) => all.reduce((total, each) => total + each.value, 0)
          assert.strictEqual(self.sum(now), sum(inside))
          assert.strictEqual(self.count(now), inside.length)
          for (let age = 0; age < buckets; age++) {
            assert.strictEqual(self.sumAt(now, age), sum(at(age)))
            assert.strictEqual(self.countAt(now, age), at(age).length)
          }
          assert.strictEqual(self.countAt(now, buckets), 0)
        }
        yield* Effect.void
      })
  )

  it("is empty after its length has passed, and after a reset", () => {
    const self = RollingWindow.make({ window: "1 second", buckets: 10 })
    self.add(5000, 3, 2)
    assert.deepStrictEqual([self.sum(5900), self.count(5999)], [3, 2])
    assert.deepStrictEqual([self.sum(6000), self.count(6000)], [0, 0])
    self.add(6000, 1)
    self.reset()
    assert.deepStrictEqual([self.sum(6000), self.count(6000)], [0, 0])
  })

  it("loses nothing while the clock is set back a little, and starts anew when it is set back by more than the window", () => {
    const self = RollingWindow.make({ window: "1 second", buckets: 10 })
    self.add(10_000, 1)
    self.add(9500, 2)
    assert.strictEqual(self.sum(9500), 3)
    assert.strictEqual(self.sum(10_000), 3)
    self.add(2000, 7)
    assert.strictEqual(self.sum(2000), 7)
    assert.strictEqual(self.sum(3000), 0)
  })

  it("keeps no rounding errors of what has left it", () => {
    const self = RollingWindow.make({ window: "1 second", buckets: 10 })
    for (let now = 0; now < 5000; now += 10) self.add(now, 0.1)
    self.add(5950, 1e9)
    assert.strictEqual(self.sum(6950), 0)
  })
})
