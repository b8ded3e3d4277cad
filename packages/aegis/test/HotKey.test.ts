import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as HotKey from "../src/HotKey.ts"

describe("HotKey", () => {
  it.effect("caches what is hot, and drops what is not any more", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>({ hotKeys: 1 })
      assert.isTrue(self.addValue(0, "a", 1))
      assert.strictEqual(self.get(0, "a"), 1)
      assert.isTrue(self.addValue(0, "b", 2, 5))
      assert.deepStrictEqual([self.get(0, "a"), self.get(0, "b")], [undefined, 2])
      assert.isFalse(self.addValue(0, "a", 1))
      assert.strictEqual(self.get(0, "a"), undefined)
      assert.deepStrictEqual(self.list(), [{ key: "b", count: 5 }])
      self.fade()
      assert.deepStrictEqual(self.list(), [{ key: "b", count: 2 }])
    }).pipe(Random.withSeed("hot"))
  )

  it.effect("keeps a value for its time to live, and until it is dropped", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<string>({
        always: [{ mode: "key", value: "slow", ttl: "1 second" }]
      })
      self.addValue(1000, "a", "x")
      self.addValue(1000, "slow", "y")
      assert.strictEqual(self.get(1099, "a"), "x")
      assert.strictEqual(self.get(1100, "a"), undefined)
      assert.strictEqual(self.get(1999, "slow"), "y")
      self.delete("slow")
      assert.strictEqual(self.get(1999, "slow"), undefined)
    })
  )

  it.effect("caches what a rule names although nothing is hot", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>({ hotKeys: 0, cacheSize: 100, always: [{ mode: "pattern", value: "^1[0-9]{2}" }] })
      for (let i = 0; i < 200; i++) {
        assert.isFalse(self.addValue(0, `${i}`, i))
        assert.strictEqual(self.get(0, `${i}`), i < 100 ? undefined : i)
      }
      assert.deepStrictEqual(self.list(), [])
    })
  )

  it.effect("does not cache what is hot where a rule forbids it, or where it is told not to", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>({
        never: [
          { mode: "pattern", value: "^2$" },
          { mode: "key", value: "3" }
        ]
      })
      for (let round = 0; round < 50; round++) for (let i = 0; i < 10; i++) assert.isTrue(self.addValue(0, `${i}`, i))
      for (let i = 0; i < 10; i++) assert.strictEqual(self.get(0, `${i}`), i === 2 || i === 3 ? undefined : i)
      const off = yield* HotKey.make<number>({ autoCache: false })
      assert.isTrue(off.addValue(0, "a", 1))
      assert.strictEqual(off.get(0, "a"), undefined)
    })
  )

  it.effect("calls nothing hot that was counted less than ten times, when so told", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>({ minimumCount: 10 })
      for (let i = 0; i < 9; i++) assert.isFalse(self.add("1"))
      assert.isTrue(self.add("1"))
    })
  )

  it.effect("holds no more values than its cache has places", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>({ hotKeys: 100, cacheSize: 3 })
      for (let i = 0; i < 50; i++) self.addValue(0, `${i}`, i)
      assert.deepStrictEqual(
        [46, 47, 48, 49].map((i) => self.get(0, `${i}`)),
        [undefined, 47, 48, 49]
      )
    })
  )

  it.effect("refuses a pattern that is none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(HotKey.make({ never: [{ mode: "pattern", value: "(" }] }))
      assert.deepStrictEqual([error._tag, error.value], ["InvalidRule", "("])
    })
  )

  it.effect("looks up a hot key once in its time to live, and counts every use", () =>
    Effect.gen(function* () {
      const self = yield* HotKey.make<number>()
      const get = HotKey.through(self)
      let lookups = 0
      const lookup = Effect.sync(() => ++lookups)
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* get("a", lookup), 1)
      assert.deepStrictEqual(self.list(), [{ key: "a", count: 10 }])
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(yield* get("a", lookup), 2)
      assert.strictEqual(yield* Effect.flip(get("b", Effect.fail("gone"))), "gone")
      assert.strictEqual(self.list().length, 1)
    })
  )
})
