import { assert, describe, it } from "@effect/vitest"
import { frame } from "../src/Check.ts"

describe("Check", () => {
  it("frames the request for kratos as gRPC does", () => {
    assert.deepStrictEqual([...frame()], [0, 0, 0, 0, 8, 0x0a, 6, ...new TextEncoder().encode("kratos")])
  })
})
