import { assert, describe, it } from "@effect/vitest"
import { cases } from "../src/cases.ts"
import * as ClientCases from "../src/ClientCases.ts"
import * as Results from "../src/Results.ts"

describe("Results", () => {
  it("reads the three kinds of line and nothing else", () => {
    const results = Results.parse("ok unary\nwarming up\nskip gzip-reply not shown here\nFAIL deadline expected 4, got 1\n ok not-a-line\n")
    assert.deepStrictEqual(
      [...results],
      [
        ["unary", { outcome: "ok", why: "" }],
        ["gzip-reply", { outcome: "skip", why: "not shown here" }],
        ["deadline", { outcome: "FAIL", why: "expected 4, got 1" }]
      ]
    )
  })
})

describe("cases", () => {
  it("are the same for our client, in the same order", () => {
    assert.deepStrictEqual(Object.keys(ClientCases.cases("127.0.0.1:1")), [...cases])
  })
})
