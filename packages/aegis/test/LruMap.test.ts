import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as LruMap from "../src/LruMap.ts"

const key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))
const commands = Schema.Array(Schema.Struct({ verb: Schema.Literals(["get", "peek", "set", "delete", "clear"]), key }))

describe("LruMap", () => {
  it.effect.prop("does what a Map with re-inserted keys does", [commands], ([commands]) =>
    Effect.gen(function* () {
      const self = LruMap.make<number, number>(4)
      const model = new Map<number, number>()
      const touch = (key: number, value: number) => {
        model.delete(key)
        model.set(key, value)
      }
      let value = 0
      for (const { key, verb } of commands) {
        value++
        const before = model.get(key)
        if (verb === "get") {
          assert.strictEqual(self.get(key), before)
          if (before !== undefined) touch(key, before)
        } else if (verb === "peek") assert.strictEqual(self.peek(key), before)
        else if (verb === "delete") assert.strictEqual(self.delete(key), model.delete(key))
        else if (verb === "clear") {
          self.clear()
          model.clear()
        } else {
          const [oldest] = model
          const goes = before === undefined && model.size === 4 ? oldest : undefined
          if (goes !== undefined) model.delete(goes[0])
          touch(key, value)
          assert.strictEqual(self.set(key, value), goes?.[1])
        }
        assert.strictEqual(self.size(), model.size)
        assert.deepStrictEqual([...self.values()], [...model.values()].toReversed())
        assert.strictEqual(self.oldest(), [...model.keys()][0])
      }
      yield* Effect.void
    })
  )
})
