import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as CpuUsage from "../src/CpuUsage.ts"

describe("CpuUsage", () => {
  it("smooths as Kratos does: 0.95 of the past, integers, samples capped, readings of 0 left out", () => {
    assert.strictEqual(CpuUsage.smooth(0, 1000, 0.95), 50)
    assert.strictEqual(CpuUsage.smooth(50, 1000, 0.95), 97)
    assert.strictEqual(CpuUsage.smooth(97, 5000, 0.95), 142)
    assert.strictEqual(CpuUsage.smooth(800, 100, 0.95), 765)
    for (const nothing of [undefined, 0, -1, Number.NaN]) assert.strictEqual(CpuUsage.smooth(700, nothing, 0.95), 700)
  })

  it.effect("samples every 500 ms", () =>
    Effect.gen(function* () {
      const cpu = yield* CpuUsage.CpuUsage
      assert.strictEqual(cpu.permille(), 0)
      yield* TestClock.adjust("499 millis")
      assert.strictEqual(cpu.permille(), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(cpu.permille(), 50)
      yield* TestClock.adjust("20 seconds")
      assert.isAbove(cpu.permille(), 850)
    }).pipe(Effect.provide(CpuUsage.layer(Effect.succeed(1000))))
  )

  it("scales to a quota", () => {
    assert.strictEqual(CpuUsage.withQuota({ permille: () => 250 }, 8, 2).permille(), 1000)
  })
})
