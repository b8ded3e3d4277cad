import { assert, describe, it } from "@effect/vitest"
import * as Go from "../src/Go.ts"
import * as Subject from "../src/Subject.ts"

describe("Go", () => {
  it("is wanted for its subjects, and when all are asked for", () => {
    assert.isTrue(Go.wanted([]))
    assert.isTrue(Go.wanted(["http2", "grpc-go"]))
    assert.isTrue(Go.wanted(["kratos-aspects"]))
    assert.isFalse(Go.wanted(["http2", "effect-kratos", "effect-kratos-compiled"]))
  })

  it("says why its subjects are missing", () => {
    assert.strictEqual(Subject.go("grpc-go", Go.none, "grpc-go").missing, "not asked for")
    assert.deepStrictEqual(Subject.go("kratos", { folder: "/cache", missing: undefined }, "kratos", ["http"]), {
      name: "kratos",
      command: ["/cache/kratos", "http"],
      missing: undefined
    })
  })
})
