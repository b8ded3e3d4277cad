/** Generated code runs, and says what the contract says. It type-checks with the package: `tsc -b` includes the golden files. */
import * as Status from "@effect-kratos/core/error/Status"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Clash from "./gen/golden/clash/v1/clash_effect.ts"
import * as Methods from "./gen/golden/methods/v1/methods_effect.ts"
import * as MethodReasons from "./gen/golden/methods/v1/reasons_effect.ts"
import * as A from "./gen/golden/mixed/v1/a_effect.ts"
import * as B from "./gen/golden/mixed/v1/b_effect.ts"
import * as Reasons from "./gen/golden/reasons/v1/reasons_effect.ts"

describe("generated reasons", () => {
  it.effect("are yieldable errors with the status of their enum value", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.gen(function* () {
          return yield* new Reasons.NotThere({ message: "gone" })
        })
      )
      assert.strictEqual(error._tag, "NotThere")
      assert.strictEqual(error.message, "gone")
      assert.strictEqual(error[Status.TypeId].code, 404)
      assert.strictEqual(error[Status.TypeId].reason, "NOT_THERE")
    })
  )

  it("inherit the enum's code", () => {
    assert.strictEqual(Reasons.DefaultedUnspecified.code, 500)
    assert.strictEqual(Reasons.SystemError.reason, "systemError")
  })

  it.effect("are caught by their tags", () =>
    Effect.gen(function* () {
      const fail: Effect.Effect<string, Reasons.NotThere | Reasons.Old> = Effect.fail(new Reasons.Old({ message: "x" }))
      const rest: Effect.Effect<string, Reasons.NotThere> = fail.pipe(Effect.catchTag("Old", () => Effect.succeed("caught")))
      assert.strictEqual(yield* rest, "caught")
    })
  )
})

describe("generated services", () => {
  it("know their descriptor and all reasons of their package, also across files that need each other", () => {
    assert.strictEqual(A.A.key, "golden.mixed.v1.A")
    assert.strictEqual(B.B.descriptor.typeName, "golden.mixed.v1.B")
    assert.deepStrictEqual(A.A.errors, [A.AFailed, B.BFailed])
    assert.deepStrictEqual(B.B.errors, [A.AFailed, B.BFailed])
  })

  it("have the reasons of each method once a method names its own", () => {
    const { First, NotThere, Second } = MethodReasons
    assert.deepStrictEqual(Methods.Methods.errors.one, [First])
    assert.deepStrictEqual(Methods.Methods.errors.two, [Second, Reasons.NotThere, NotThere])
    assert.deepStrictEqual(Methods.Methods.errors.none, [])
    assert.strictEqual(Methods.Methods.errors.others.length, 6)
    assert.deepStrictEqual(
      Object.keys(Methods.Methods.errors),
      Methods.Methods.descriptor.methods.map((method) => method.localName)
    )
  })

  it.effect("bring the comments of their methods, messages and reasons, when somebody asks", () =>
    Effect.gen(function* () {
      const { comments } = yield* Effect.promise(Methods.Methods.comments!)
      assert.strictEqual(comments["golden.methods.v1.Methods.One"], "One of its own package.")
      assert.strictEqual(comments["golden.reasons.v1.NOT_THERE"], "Leading comments\nof two lines.")
      assert.strictEqual(A.A.comments, undefined)
    })
  )

  it("keep their names where a reason has the same", () => {
    assert.strictEqual(Clash.Greeter.key, "golden.clash.v1.Greeter")
    assert.strictEqual(new Clash.GreeterError({ message: "" })._tag, "GreeterError")
    assert.strictEqual(Clash.GreeterError.reason, "GREETER")
    assert.strictEqual(Clash.Service.key, "golden.clash.v1.Service")
    assert.strictEqual(Clash.ServiceDesc.key, "golden.clash.v1.ServiceDesc")
    assert.strictEqual(new Clash.Object$({ message: "" })._tag, "Object")
  })
})
