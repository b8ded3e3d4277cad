import { assert, describe, it } from "@effect/vitest"
import * as Row from "../src/Row.ts"

const measured: Row.Measured = {
  bench: "unary",
  load: "10x10",
  unit: "calls/s",
  samples: new Map([
    ["us", [30_000, 30_000.6, 33_000]],
    ["them", [10_000, 15_000, 12_000]]
  ]),
  skipped: new Map([["gone", "no go on PATH"]])
}

describe("Row", () => {
  it("has one line of JSON a subject, with exactly these fields in this order", () => {
    const lines = Row.fromMeasured(measured).map(Row.toJson)
    assert.deepStrictEqual(lines, [
      `{"bench":"unary","load":"10x10","subject":"us","median":30001,"unit":"calls/s","ratios":{"them":2.75}}`,
      `{"bench":"unary","load":"10x10","subject":"them","median":12000,"unit":"calls/s","ratios":{"us":0.36}}`
    ])
    assert.deepStrictEqual(Row.skippedToJson(measured), [
      `{"bench":"unary","load":"10x10","subject":"gone","unit":"calls/s","skipped":"no go on PATH"}`
    ])
  })

  it("knows how far the rounds of the worst subject lie apart", () => {
    assert.strictEqual(Row.noise(measured), 2500 / 12_000)
    assert.strictEqual(Row.noise({ ...measured, samples: new Map() }), 0)
  })

  it("prints a table whose columns line up", () => {
    assert.strictEqual(
      Row.toTable(measured),
      [
        "unary, load 10x10",
        "subject  calls/s    ±  ÷ us  ÷ them",
        "us        30,001   5%     1    2.75",
        "them      12,000  21%  0.36       1",
        "gone     skipped: no go on PATH"
      ].join("\n")
    )
  })
})
