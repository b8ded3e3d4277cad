import { assert, describe, it } from "@effect/vitest"
import type { Row } from "../src/Row.ts"
import * as Targets from "../src/Targets.ts"

const row = (unit: string, ratio: number, bench = "unary"): Row => ({
  bench,
  load: "10x10",
  subject: "us",
  median: 1,
  unit,
  ratios: { them: ratio }
})

const target = (unit: string, bound: number): Targets.Target => ({
  what: "speed",
  bench: "unary",
  load: "10x10",
  unit,
  subject: "us",
  peer: "them",
  bound
})

const judged = (rows: ReadonlyArray<Row>, wanted: Targets.Target) => {
  const { cpuMet, cpuRatio, met, ratio } = Targets.judge(rows, [wanted])[0]!
  return { ratio, met, cpuRatio, cpuMet }
}

describe("Targets", () => {
  it("asks for at least the bound, by the clock and by CPU time", () => {
    const rows = [row("calls/s", 2), row("calls/CPU-s", 1.99)]
    assert.deepStrictEqual(judged(rows, target("calls/s", 2)), { ratio: 2, met: true, cpuRatio: 1.99, cpuMet: false })
    assert.deepStrictEqual(judged(rows, target("calls/s", 2.01)), { ratio: 2, met: false, cpuRatio: 1.99, cpuMet: false })
  })

  it("asks for CPU time alone where the target does", () => {
    const rows = [row("calls/s", 1), row("calls/CPU-s", 9)]
    assert.deepStrictEqual(judged(rows, target("calls/CPU-s", 8)), { ratio: 9, met: true, cpuRatio: undefined, cpuMet: undefined })
  })

  it("asks for at most the bound of time and memory", () => {
    for (const unit of ["ms p99", "MiB idle", "CPU-ms", "ms"]) {
      assert.isTrue(judged([row(unit, 1.2)], target(unit, 1.2)).met)
      assert.isFalse(judged([row(unit, 1.21)], target(unit, 1.2)).met)
    }
  })

  it("has no verdict without a row of the same bench, load and subject", () => {
    const none = { ratio: undefined, met: undefined, cpuRatio: undefined, cpuMet: undefined }
    for (const other of [row("calls/s", 9, "tls"), { ...row("calls/s", 9), load: "1x1" }, { ...row("calls/s", 9), subject: "them" }]) {
      assert.deepStrictEqual(judged([other], target("calls/s", 1)), none)
    }
    assert.deepStrictEqual(judged([{ ...row("calls/s", 9), ratios: {} }], target("calls/s", 1)), none)
  })

  it("asks for a figure itself where there is no peer", () => {
    const own = { ...target("calls/CPU-s", 1_000_000), peer: undefined }
    assert.isTrue(judged([{ ...row("calls/CPU-s", 0), median: 1_000_000 }], own).met)
    const verdicts = Targets.judge([{ ...row("calls/CPU-s", 0), median: 999_999 }], [own])
    assert.isFalse(verdicts[0]!.met)
    assert.match(Targets.toTable(verdicts), /≥ 1,000,000 +calls\/CPU-s +999,999 +missed/)
  })

  it("prints what is needed, what is, and the verdict", () => {
    const verdicts = Targets.judge([row("calls/s", 2), row("calls/CPU-s", 3)], [target("calls/s", 2.5), target("ms p99", 1)])
    assert.strictEqual(
      Targets.toTable(verdicts),
      [
        "target  needed        unit     ratio                 per CPU-s",
        "speed   ≥ 2.5 × them  calls/s  2.00          missed  3.00       met",
        "speed   ≤ 1 × them    ms p99   not measured"
      ].join("\n")
    )
    assert.strictEqual(
      Targets.toJson(verdicts[0]!),
      `{"target":"speed","needed":"≥ 2.5 × them","unit":"calls/s","ratio":2,"met":false,"cpuRatio":3,"cpuMet":true}`
    )
  })
})
