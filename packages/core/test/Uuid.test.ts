import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Uuid from "../src/Uuid.ts"

const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

it.effect("a UUID is of version 4, and no two are alike", () =>
  Effect.gen(function* () {
    const many = yield* Effect.replicateEffect(Uuid.random, 10_000)
    for (const one of many) assert.match(one, form)
    assert.strictEqual(new Set(many).size, many.length)
    // every bit that may vary does
    for (const at of [0, 7, 9, 12, 15, 17, 20, 22, 24, 28, 32, 35]) assert.strictEqual(new Set(many.map((one) => one[at])).size, 16)
    assert.strictEqual(new Set(many.map((one) => one[19])).size, 4)
  })
)

it.effect("comes from Random, so that a seed decides it", () =>
  Effect.gen(function* () {
    const seeded = Uuid.random.pipe(Random.withSeed("a"))
    assert.strictEqual(yield* seeded, yield* seeded)
    assert.notStrictEqual(yield* seeded, yield* Uuid.random.pipe(Random.withSeed("b")))
  })
)

it("the extremes of a draw", () => {
  assert.strictEqual(Uuid.fromRandom({ nextDoubleUnsafe: () => 0 }), "00000000-0000-4000-8000-000000000000")
  assert.strictEqual(Uuid.fromRandom({ nextDoubleUnsafe: () => 1 - Number.EPSILON / 2 }), "ffffffff-ffff-4fff-bfff-ffffffffffff")
})
