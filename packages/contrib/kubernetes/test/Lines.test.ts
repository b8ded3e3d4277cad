import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Lines from "../src/internal/Lines.ts"

const bytes = new TextEncoder().encode('{"a":"ü\u{1f600}"}\n\n{"b":1}\nlast')
const cut = (size: number) =>
  Stream.fromIterable(Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)))
const tooLong = () => "too long" as const

describe("Lines", () => {
  it.effect("are the same however the bytes are cut; the last one has to end", () =>
    Effect.gen(function* () {
      for (let size = 1; size <= bytes.length; size++) {
        const lines = yield* Stream.runCollect(Lines.split(1000, tooLong)(cut(size)))
        assert.deepStrictEqual(lines, ['{"a":"ü\u{1f600}"}', '{"b":1}'], `in pieces of ${size}`)
        assert.strictEqual(yield* Lines.text(1000, tooLong)(cut(size)), new TextDecoder().decode(bytes))
      }
    })
  )
  it.effect("that are too long fail, whether they end or not; those before them come", () =>
    Effect.gen(function* () {
      for (const size of [1, 3, bytes.length]) {
        const seen: Array<string> = []
        const limited = Lines.split(10, tooLong)(cut(size))
        assert.strictEqual(yield* Effect.flip(Stream.runForEach(limited, (line) => Effect.sync(() => void seen.push(line)))), "too long")
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(yield* Effect.flip(Lines.text(10, tooLong)(cut(size))), "too long")
      }
      const endless = Stream.fromEffectRepeat(Effect.succeed(new TextEncoder().encode("x")))
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(Lines.split(10_000, tooLong)(endless))), "too long")
    })
  )
})
