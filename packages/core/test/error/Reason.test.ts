import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as KratosError from "../../src/error/KratosError.ts"
import * as Reason from "../../src/error/Reason.ts"
import * as Status from "../../src/error/Status.ts"

class UserNotFound extends Reason.make<UserNotFound>("user.v1.UserNotFound")("UserNotFound", { code: 404, reason: "USER_NOT_FOUND" }) {}
class Broken extends Reason.make<Broken>("user.v1.Broken")("Broken", { code: 503, reason: "BROKEN" }) {}

/** Schema keeps in the cause what it has to say. */
const refuses = (field: string, build: () => unknown): void => {
  let thrown: unknown = undefined
  try {
    build()
  } catch (error) {
    thrown = (error as Error).cause
  }
  assert.include(JSON.stringify(thrown) ?? "accepted", field)
}

describe("Reason", () => {
  it("gives a class that the wires can use", () => {
    expectTypeOf(UserNotFound).toExtend<Reason.ReasonClass<UserNotFound>>()
    assert.deepStrictEqual([UserNotFound.code, UserNotFound.reason], [404, "USER_NOT_FOUND"])
    const decoded = Schema.decodeUnknownSync(UserNotFound)({ _tag: "UserNotFound", message: "m" })
    for (const error of [new UserNotFound({ message: "m" }), decoded]) {
      assert.isTrue(error instanceof UserNotFound && error instanceof Error)
      assert.deepStrictEqual(error[Status.TypeId], { code: 404, reason: "USER_NOT_FOUND" })
      assert.deepStrictEqual({ ...error, message: error.message }, { _tag: "UserNotFound", message: "m" })
      assert.deepStrictEqual(Schema.encodeSync(UserNotFound)(error), { _tag: "UserNotFound", message: "m" })
      assert.strictEqual(JSON.stringify(error), '{"code":404,"reason":"USER_NOT_FOUND","message":"m","metadata":{}}')
    }
    const rich = new UserNotFound({ message: "m", metadata: { a: "b" }, cause: "secret" })
    assert.deepStrictEqual(Schema.encodeSync(UserNotFound)(rich), { _tag: "UserNotFound", message: "m", metadata: { a: "b" } })
    assert.strictEqual(rich.cause, "secret")
    const details = [{ type: "x.v1.A", value: Uint8Array.of(1, 2) }]
    assert.deepStrictEqual(new UserNotFound({ message: "m", details }).details, details)
    assert.deepStrictEqual(KratosError.from(new UserNotFound({ message: "m", details })).details, details)
    assert.notInclude(JSON.stringify(rich), "secret")
  })

  it("refuses what Schema refuses", () => {
    // @ts-expect-error: a message is a string
    refuses("message", () => new UserNotFound({ message: 1 }))
    // @ts-expect-error: there must be one
    refuses("message", () => new UserNotFound({}))
  })

  it.effect("is told apart by its tag", () =>
    Effect.gen(function* () {
      const fails = (which: boolean) =>
        Effect.gen(function* () {
          if (which) return yield* new UserNotFound({ message: "m" })
          return yield* new Broken({ message: "b" })
        })
      const caught = fails(true).pipe(Effect.catchTag("UserNotFound", (error) => Effect.succeed(error.message)))
      expectTypeOf(caught).toEqualTypeOf<Effect.Effect<string, Broken>>()
      assert.strictEqual(yield* caught, "m")
      assert.strictEqual((yield* Effect.flip(fails(false)))._tag, "Broken")
    })
  )

  it("becomes a KratosError with its status, and stays its cause", () => {
    const error = new UserNotFound({ message: "m", metadata: { a: "b" } })
    const general = KratosError.from(error)
    assert.deepStrictEqual([general.code, general.reason, general.message, general.metadata], [404, "USER_NOT_FOUND", "m", { a: "b" }])
    assert.strictEqual(general.cause, error)
    assert.isTrue(KratosError.is(error, UserNotFound))
    assert.isTrue(KratosError.isNotFound(error))
  })

  it("has a stack trace only where it tells of a fault, or where one is asked for", () => {
    class Traced extends Reason.make<Traced>("user.v1.Traced")("Traced", { code: 404, reason: "T", trace: true }) {}
    const stack = (error: Error) => error.stack?.split("\n").slice(1) ?? []
    const where = () => new Broken({ message: "b" })
    assert.lengthOf(stack(new UserNotFound({ message: "m" })), 0)
    assert.match(stack(where())[0]!, /where/)
    assert.isAbove(stack(new Traced({ message: "m" })).length, 0)
  })

  it("takes a code that no error can have as 500", () => {
    class Odd extends Reason.make<Odd>("user.v1.Odd")("Odd", { code: 200, reason: "ODD" }) {}
    assert.strictEqual(Odd.code, 500)
    assert.strictEqual(new Odd({ message: "m" })[Status.TypeId].code, 500)
  })
})
