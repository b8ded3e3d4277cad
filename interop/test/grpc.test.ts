import { assert, describe, it } from "@effect/vitest"
import * as Foreign from "../src/testing/Foreign.ts"
import * as TestServiceCases from "../src/testing/TestServiceCases.ts"

const ours = Object.keys(TestServiceCases.cases({ target: "127.0.0.1:1" }))

/** Cases of grpc-java alone: a size that is its own. */
const others = new Set(["very_large_request"])

describe("the cases of gRPC's interop tests", () => {
  it.each(Foreign.all.map((foreign) => [foreign.name, foreign] as const))("of %s are known, each once", (_, { cases, lacks }) => {
    assert.deepStrictEqual(
      [...cases, ...Object.keys(lacks)].filter((name) => !ours.includes(name) && !others.has(name)),
      []
    )
    assert.strictEqual(new Set(cases).size, cases.length)
  })

  it("are all called for by some client of others", () => {
    const called = new Set(Foreign.all.flatMap(({ cases }) => cases))
    assert.deepStrictEqual(
      ours.filter((name) => !called.has(name)),
      []
    )
  })

  it("are each run against some server of others, but those that only our server has a part in", () => {
    const lacking = ours.filter((name) => Foreign.all.every(({ lacks }) => lacks[name] !== undefined))
    assert.deepStrictEqual(lacking, ["client_compressed_unary", "client_compressed_streaming"])
  })
})
