import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as HeavyKeeper from "../src/HeavyKeeper.ts"
import * as MinHeap from "../src/internal/MinHeap.ts"
import * as Chance from "./Chance.ts"

/** Draws ranks from 0 on; rank r is drawn in proportion to 1 / (r + 1) ^ exponent. */
const zipf = (exponent: number, ranks: number, seed: string): (() => number) => {
  const random = Chance.seeded(seed)
  const sums: Array<number> = []
  let total = 0
  for (let i = 0; i < ranks; i++) sums.push((total += 1 / (i + 1) ** exponent))
  return () => {
    const draw = random.nextDoubleUnsafe() * total
    let low = 0
    let high = ranks - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > draw) high = middle
      else low = middle + 1
    }
    return low
  }
}

describe("HeavyKeeper", () => {
  it("finds the heavy hitters of a Zipf stream with ten times more keys than counters", () => {
    const self = HeavyKeeper.makeUnsafe({ k: 20, width: 2048 }, Chance.seeded("keeper"))
    const draw = zipf(1.1, 80_000, "stream")
    const counts = new Map<string, number>()
    for (let i = 0; i < 200_000; i++) {
      const key = `key ${draw()}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      self.add(key)
    }
    assert.strictEqual(self.total(), 200_000)
    const expected = [...counts].toSorted((a, b) => b[1] - a[1]).slice(0, 20)
    const found = self.list()
    assert.strictEqual(found.length, 20)
    assert.deepStrictEqual(
      found.slice(0, 10).map(({ key }) => key),
      expected.slice(0, 10).map(([key]) => key)
    )
    const hits = expected.filter(([key]) => found.some((item) => item.key === key)).length
    assert.isAtLeast(hits, 18)
    for (const { count, key } of found) {
      // almost never too high, and close
      assert.isAtMost(count, counts.get(key)!, key)
      assert.closeTo(count / counts.get(key)!, 1, 0.05, key)
    }
  })

  it("counts exactly while every key has a counter of its own", () => {
    const self = HeavyKeeper.makeUnsafe({ k: 2 }, Chance.seeded("exact"))
    assert.isTrue(self.add("a", 5))
    assert.isTrue(self.add("b"))
    assert.isFalse(self.add("c", 0))
    assert.isTrue(self.add("b", 2))
    assert.deepStrictEqual(self.list(), [
      { key: "a", count: 5 },
      { key: "b", count: 3 }
    ])
  })

  it("tells of the key that had to make room", () => {
    const expelled: Array<readonly [string, number]> = []
    const self = HeavyKeeper.makeUnsafe({ k: 2, onExpelled: (key, count) => void expelled.push([key, count]) }, Chance.seeded("expelled"))
    self.add("a", 5)
    self.add("b", 2)
    assert.isFalse(self.add("c"))
    assert.deepStrictEqual(expelled, [])
    assert.isTrue(self.add("c", 3))
    assert.deepStrictEqual(expelled, [["b", 2]])
    assert.deepStrictEqual([self.has("a"), self.has("b"), self.has("c")], [true, false, true])
  })

  it("lets what is frequent now take over after fading", () => {
    const self = HeavyKeeper.makeUnsafe({ k: 1 }, Chance.seeded("fade"))
    self.add("then", 100)
    self.fade()
    self.fade()
    assert.deepStrictEqual([self.list()[0]?.count, self.total()], [25, 25])
    self.add("now", 20)
    assert.isTrue(self.has("then"))
    self.fade()
    self.add("now", 20)
    assert.isTrue(self.has("now"))
  })

  it("lets nothing be hot below the minimum count", () => {
    const self = HeavyKeeper.makeUnsafe({ k: 10_000, minimumCount: 10 }, Chance.seeded("minimum"))
    for (let i = 0; i < 9; i++) assert.isFalse(self.add("1"))
    assert.isTrue(self.add("1"))
  })

  it("takes a crowded counter over only as far as the decay lets it", () => {
    const crowded = (random: number) => {
      const self = HeavyKeeper.makeUnsafe({ k: 1, width: 1, depth: 1 }, Chance.constant(random))
      self.add("a", 10)
      return self.add("b", 12)
    }
    // each draw lowers the counter: ten units for it, two left for b; b is lower than the estimate of a
    assert.isFalse(crowded(0))
    assert.isFalse(crowded(0.99))
    const self = HeavyKeeper.makeUnsafe({ k: 2, width: 1, depth: 1 }, Chance.constant(0))
    self.add("a", 10)
    self.add("b", 12)
    assert.deepStrictEqual(self.list(), [
      { key: "a", count: 10 },
      { key: "b", count: 3 }
    ])
  })

  it.effect("takes the Random of its fiber", () =>
    Effect.gen(function* () {
      const self = yield* HeavyKeeper.make({ k: 1 })
      assert.isTrue(self.add("a"))
    })
  )
})

describe("MinHeap", () => {
  const offers = Schema.Array(
    Schema.Struct({
      key: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 })),
      count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
    })
  )

  it.effect.prop("keeps what a sorted list keeps", [offers], ([offers]) =>
    Effect.gen(function* () {
      const expelled: Array<string> = []
      const self = MinHeap.make(5, (key) => void expelled.push(key))
      let model: Array<{ readonly key: string; readonly count: number }> = []
      const expected: Array<string> = []
      for (const [i, { count, key: number }] of offers.entries()) {
        const key = `${number}`
        const known = model.some((item) => item.key === key)
        const kept = known || model.length < 5 || count >= model[4]!.count
        if (kept) {
          if (!known && model.length === 5) expected.push(model.pop()!.key)
          model = [...model.filter((item) => item.key !== key), { key, count }]
        }
        assert.strictEqual(self.offer(key, count), kept)
        if (i % 7 === 6) {
          self.halve()
          model = model.map((item) => ({ ...item, count: Math.floor(item.count / 2) }))
        }
        model = model.toSorted((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1))
        assert.deepStrictEqual(self.list(), model)
        assert.deepStrictEqual(expelled, expected)
        for (const item of model) assert.isTrue(self.has(item.key))
      }
      yield* Effect.void
    })
  )
})
