/** The short form of the fuzzer: what has failed once does not fail again, and a few new inputs of every target. `npm run fuzz` is the long form. */
import { assert, describe, it } from "@effect/vitest"
import * as Corpus from "../src/Corpus.ts"
import * as Runner from "../src/Runner.ts"
import { targets } from "../src/targets/all.ts"

describe("fuzz", () => {
  for (const target of targets) {
    it(`${target.name}: ${target.law}`, async () => {
      for (const { input, was } of Corpus.read(target.name)) {
        try {
          await target.run(input)
        } catch (error) {
          throw new Error(`${was}: ${JSON.stringify(input)}`, { cause: error })
        }
      }
      const inputs = Math.max(2, Math.min(300, Math.ceil((target.share ?? 1) * 60)))
      const { findings, inputs: done } = await Runner.run(target, { seed: 7, from: 0, inputs, slow: Number.POSITIVE_INFINITY })
      assert.deepStrictEqual(findings, [])
      assert.strictEqual(done, inputs)
    })
  }
})
