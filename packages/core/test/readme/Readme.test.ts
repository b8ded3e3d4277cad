import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as Status from "../../src/error/Status.ts"
import * as CallFixture from "../CallFixture.ts"
import * as Busy from "./Busy.ts"

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")

describe("README", () => {
  it.effect("has an example that does what it says", () =>
    Effect.gen(function* () {
      assert.include(readme, readFileSync(new URL("Busy.ts", import.meta.url), "utf8").trim())
      assert.strictEqual(yield* Busy.answer(CallFixture.make()), "hello")
      Busy.inFlight.count = 1
      const error = yield* Effect.flip(Busy.answer(CallFixture.make()))
      assert.deepStrictEqual([error.code, error.reason], [429, "BUSY"])
      assert.strictEqual(yield* Busy.answer(CallFixture.make({ operation: "/report.v1.Reports/All" })), "hello")
      assert.strictEqual(Busy.inFlight.count, 1)
    })
  )

  it("has the tables of codes", () => {
    for (const [name, code] of Object.entries(Status.Grpc)) {
      const http = Status.httpFromGrpc(code)
      assert.include(readme, `| ${code} ${name} | ${http} | ${Status.grpcFromHttp(http)} |`)
    }
  })
})
