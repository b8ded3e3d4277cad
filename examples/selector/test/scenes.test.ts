/** The scenes, over a network in memory and on a clock of the test. */
import * as Network from "@effect-kratos/transport/Network"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { scenes, type Spread } from "../src/scenes.ts"

/** What each scene shows. */
const expected: Readonly<Record<string, (spread: Spread) => void>> = {
  "weights 50, 30, 20 in the registry, weighted round robin": (spread) => assert.deepStrictEqual(spread, { a: 50, b: 30, c: 20 }),
  "version 2.0.0, else 1.0.0": (spread) => assert.deepStrictEqual(spread, { old: 0, new: 100 }),
  "no colour: no call for the blue one": (spread) => assert.deepStrictEqual(spread, { a: 50, b: 50, blue: 0 }),
  "calls that ask for blue": (spread) => assert.deepStrictEqual(spread, { a: 0, b: 0, blue: 100 }),
  "the own zone first": (spread) => assert.deepStrictEqual(spread, { a: 0, b: 100, c: 0 }),
  "one key, consistent hash": (spread) => assert.deepStrictEqual(Object.values(spread).sort(), [0, 0, 100]),
  "one ten times slower, weighted round robin": (spread) => assert.deepStrictEqual(spread, { a: 100, b: 100, slow: 100, c: 100, d: 100 }),
  "one ten times slower, P2C": (spread) => {
    assert.isAtMost(spread["slow"]!, 30)
    for (const name of ["a", "b", "c", "d"]) assert.isAtLeast(spread[name]!, 80)
  }
}

const turn = Effect.callback<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Runs an effect while time passes. */
const passing = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust(1)
      yield* turn
    }
    return yield* Fiber.join(fiber)
  })

it("every scene is expected to show something", () => {
  assert.deepStrictEqual(
    scenes.map(({ title }) => title),
    Object.keys(expected)
  )
})

for (const { run, title } of scenes) {
  it.effect(title, () =>
    Effect.map(passing(run), (spread) => expected[title]!(spread)).pipe(Effect.provide(Network.layerMemory), Random.withSeed(title))
  )
}
