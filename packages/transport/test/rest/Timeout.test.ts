import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Timeout from "../../src/rest/Timeout.ts"

describe("Timeout", () => {
  const good: ReadonlyArray<readonly [grpc: string | undefined, ms: string | undefined, left: number | undefined]> = [
    [undefined, undefined, undefined],
    ["1S", undefined, 1000],
    ["500m", undefined, 500],
    ["2M", undefined, 120_000],
    ["1H", undefined, 3_600_000],
    ["1500u", undefined, 1.5],
    ["500000n", undefined, 0.5],
    ["0n", undefined, 0],
    ["99999999H", undefined, 99_999_999 * 3_600_000],
    [undefined, "250", 250],
    [undefined, "0", 0],
    [undefined, "9999999999", 9_999_999_999],
    ["1S", "250", 250],
    ["100m", "250", 100]
  ]
  for (const [grpc, ms, left] of good) {
    it(`takes ${grpc} and ${ms}`, () => assert.strictEqual(Result.getOrThrow(Timeout.parse(grpc, ms)), left))
  }

  it("says 400 to anything else", () => {
    for (const grpc of ["", "1", "S", "1s", "-1S", "+1S", "1.5S", "1 S", "123456789S", "1S ", "1SS", "0x1S", "١S"]) {
      const error = Result.getOrThrow(Result.flip(Timeout.parse(grpc, undefined)))
      assert.deepStrictEqual([error.code, error.reason], [400, "CODEC"], grpc)
    }
    for (const ms of ["", "1ms", "-1", "1.5", "1e3", "12345678901", " 1", "NaN"])
      assert.isTrue(Result.isFailure(Timeout.parse("1S", ms)), ms)
  })
})
