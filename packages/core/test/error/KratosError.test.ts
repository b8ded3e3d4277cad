import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as KratosError from "../../src/error/KratosError.ts"
import * as Status from "../../src/error/Status.ts"

const secret = new Error("postgres://app:hunter2@db")
const full = { code: 404, reason: "USER_NOT_FOUND", message: "no such user", metadata: { id: "7", at: "eu" } }

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

describe("KratosError", () => {
  it("is an Error of its class, however it is made", () => {
    const decoded = Schema.decodeUnknownSync(KratosError.KratosError)({ _tag: "KratosError", ...full })
    const made = KratosError.make(full.code, full.reason, full.message, { metadata: full.metadata })
    const constructed = new KratosError.KratosError(full)
    for (const error of [decoded, made, constructed]) {
      assert.isTrue(error instanceof KratosError.KratosError && error instanceof Error)
      assert.strictEqual(Object.prototype.toString.call(error), "[object Error]")
      assert.deepStrictEqual({ ...error, message: error.message }, { _tag: "KratosError", ...full })
      assert.isFalse(Object.getOwnPropertyDescriptor(error, "message")!.enumerable)
      assert.isTrue(Schema.is(KratosError.KratosError)(error))
      assert.isTrue(Schema.toEquivalence(KratosError.KratosError)(error, decoded))
      assert.strictEqual(String(error), "@effect-kratos/core/error/KratosError: no such user")
    }
  })

  it("keeps the stack of `new`, from the caller on, and has none from `make`", () => {
    const limit = Error.stackTraceLimit
    const where = () => new KratosError.KratosError(full)
    assert.match(where().stack!.split("\n")[1]!, /where/)
    assert.notMatch(KratosError.make(404, "R", "m").stack ?? "", /\n\s+at /)
    assert.strictEqual(Error.stackTraceLimit, limit)
  })

  it("keeps its class when it is extended", () => {
    class Special extends KratosError.KratosError {}
    assert.isTrue(new Special(full) instanceof Special)
  })

  it("refuses what Schema refuses", () => {
    // @ts-expect-error: a reason is a string
    refuses("reason", () => new KratosError.KratosError({ ...full, reason: 1 }))
    // @ts-expect-error: 17 is no gRPC code
    refuses("grpc", () => new KratosError.KratosError({ ...full, grpc: 17 }))
    // @ts-expect-error: metadata are strings
    refuses("metadata", () => new KratosError.KratosError({ ...full, metadata: { a: 1 } }))
    refuses("code", () => new KratosError.KratosError({ ...full, code: 1.5 }))
  })

  it("never puts its cause on a wire, and takes none from it", () => {
    for (const error of [new KratosError.KratosError({ ...full, cause: secret }), KratosError.make(404, "R", "m", { cause: secret })]) {
      assert.strictEqual(error.cause, secret)
      assert.notProperty(Schema.encodeSync(KratosError.KratosError)(error), "cause")
      for (const text of [JSON.stringify(error), JSON.stringify(Schema.encodeSync(Schema.toCodecJson(KratosError.KratosError))(error))]) {
        assert.notInclude(text, "hunter2")
        assert.notInclude(text, "cause")
      }
    }
    const evil = Schema.decodeUnknownSync(KratosError.KratosError)({ _tag: "KratosError", ...full, cause: "evil" })
    assert.isUndefined(evil.cause)
  })

  it("prints JSON in the order of Kratos", () => {
    const json = '{"code":404,"reason":"USER_NOT_FOUND","message":"no such user","metadata":{"id":"7","at":"eu"}}'
    assert.strictEqual(JSON.stringify(new KratosError.KratosError(full)), json)
    assert.strictEqual(JSON.stringify(KratosError.make(404, "R", "m")), '{"code":404,"reason":"R","message":"m","metadata":{}}')
  })

  it.effect("fails when it is yielded, and is caught by its tag", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        return yield* KratosError.notFound("R", "m")
      })
      expectTypeOf(program).toEqualTypeOf<Effect.Effect<never, KratosError.KratosError>>()
      assert.strictEqual(yield* program.pipe(Effect.catchTag("KratosError", (error) => Effect.succeed(error.code))), 404)
    })
  )

  it("gives 500 for a code that no wire could carry as an error", () => {
    for (const code of [0, 42, 101, 200, 600, -1, 4.5, Number.NaN]) {
      const error = KratosError.make(code, "R", "m")
      assert.deepStrictEqual([error.code, error.reason], [500, "R"], String(code))
    }
    const raw = new KratosError.KratosError({ ...full, code: 200 })
    assert.strictEqual(raw[Status.TypeId].code, 500)
    assert.strictEqual(KratosError.code(raw), 500)
  })

  it("takes every gRPC code through unchanged, and an undefined one as 500", () => {
    for (let code = 1; code <= 16; code++) {
      const error = KratosError.fromGrpc(code, "m", { reason: "R", metadata: { a: "b" } })
      assert.strictEqual(Status.grpcCode(error), code)
      assert.strictEqual(error.code, Status.httpFromGrpc(code))
      assert.deepStrictEqual([error.reason, error.metadata], ["R", { a: "b" }])
      assert.strictEqual(Status.grpcCode(KratosError.withMetadata(KratosError.withCause(error, 1), {})), code)
    }
    assert.deepStrictEqual([KratosError.fromGrpc(42, "m").code, KratosError.fromGrpc(42, "m").grpc], [500, undefined])
  })

  it("replaces metadata or cause in a copy", () => {
    const error = new KratosError.KratosError({ ...full, cause: secret })
    const other = KratosError.withMetadata(error, { b: "c" })
    assert.deepStrictEqual(
      [other.metadata, other.cause, other.code, other.reason, other.message],
      [{ b: "c" }, secret, 404, full.reason, full.message]
    )
    const another = KratosError.withCause(error, "why")
    assert.deepStrictEqual([another.metadata, another.cause], [full.metadata, "why"])
    assert.deepStrictEqual([error.metadata, error.cause], [full.metadata, secret])
  })

  it("keeps details in copies and on its way through Schema; the body of Kratos has none", () => {
    const details = [{ type: "x.v1.A", value: Uint8Array.of(1, 2) }]
    const info = { type: "google.rpc.ErrorInfo", value: new Uint8Array(0) }
    const error = KratosError.make(404, "R", "m", { details })
    assert.deepStrictEqual(error.details, details)
    assert.deepStrictEqual(new KratosError.KratosError({ ...full, details }).details, details)
    assert.deepStrictEqual(KratosError.fromGrpc(5, "m", { details }).details, details)
    assert.deepStrictEqual(KratosError.withCause(error, "why").details, details)
    assert.deepStrictEqual(KratosError.withMetadata(error, { a: "b" }).details, details)
    // one that stood for the metadata goes with it
    assert.deepStrictEqual(KratosError.withMetadata(KratosError.withDetails(error, [info, ...details]), {}).details, details)
    assert.notProperty(KratosError.withMetadata(KratosError.withDetails(error, [info]), {}), "details")
    assert.deepStrictEqual(KratosError.withDetails(error, [info]).details, [info])
    const json = Schema.toCodecJson(KratosError.KratosError)
    assert.deepStrictEqual(Schema.decodeSync(json)(JSON.parse(JSON.stringify(Schema.encodeSync(json)(error)))).details, details)
    assert.notInclude(JSON.stringify(error), "details")
    assert.include(inspect(error), "x.v1.A")
    assert.notProperty(KratosError.make(404, "R", "m"), "details")
    // @ts-expect-error: bytes are bytes
    refuses("value", () => new KratosError.KratosError({ ...full, details: [{ type: "x.v1.A", value: "text" }] }))
  })

  it("compares by code and reason, along the causes", () => {
    const target = { code: 404, reason: "USER_NOT_FOUND" }
    const error = new KratosError.KratosError({ ...full, cause: secret })
    assert.isTrue(KratosError.is(error, target))
    assert.isTrue(KratosError.is(KratosError.make(404, "USER_NOT_FOUND", "other text"), target))
    assert.isFalse(KratosError.is(error, { code: 404, reason: "" }))
    assert.isFalse(KratosError.is(error, { code: 500, reason: "USER_NOT_FOUND" }))
    assert.isTrue(KratosError.is(new Error("wrapped", { cause: error }), target))
    for (const value of [undefined, null, 404, "USER_NOT_FOUND", {}, secret]) assert.isFalse(KratosError.is(value, target))
    const cycle: { cause?: unknown } = {}
    cycle.cause = cycle
    assert.isFalse(KratosError.is(cycle, target))
  })

  it("hides whatever is not marked", () => {
    for (const value of [secret, "hunter2", null, undefined, { code: 404 }, new Error("x", { cause: new KratosError.KratosError(full) })]) {
      const error = KratosError.from(value)
      assert.deepStrictEqual([error.code, error.reason, error.message, error.metadata], [500, "", "internal error", {}])
      assert.strictEqual(error.cause, value)
    }
    const known = new KratosError.KratosError(full)
    assert.strictEqual(KratosError.from(known), known)
  })

  it("takes from a cause its failure, else its defect, else the interrupt", () => {
    const fail = Cause.fail(KratosError.notFound("R", "m"))
    const die = Cause.die(secret)
    const interrupt = Cause.interrupt(1)
    const cases = [
      [fail, 404, "R"],
      [die, 500, ""],
      [interrupt, 499, ""],
      [Cause.combine(die, fail), 404, "R"],
      [Cause.combine(interrupt, die), 500, ""],
      [Cause.combine(interrupt, fail), 404, "R"],
      [Cause.empty, 500, ""],
      [Cause.fail("undeclared"), 500, ""]
    ] as const
    for (const [cause, code, reason] of cases) {
      const error = KratosError.fromCause(cause)
      assert.deepStrictEqual([error.code, error.reason], [code, reason])
      const { code: statusCode, reason: statusReason } = KratosError.statusFromCause(cause)
      assert.deepStrictEqual([statusCode, statusReason], [code, reason])
    }
    assert.notInclude(KratosError.fromCause(die).message, "hunter2")
    assert.deepStrictEqual(KratosError.statusFromExit(Exit.succeed(1)), { code: 200, reason: "" })
    assert.strictEqual(KratosError.statusFromExit(Exit.fail(KratosError.conflict("R", "m"))).code, 409)
  })

  it("has a constructor and a predicate for each code that Kratos names", () => {
    const named = [
      [400, KratosError.badRequest, KratosError.isBadRequest],
      [401, KratosError.unauthorized, KratosError.isUnauthorized],
      [403, KratosError.forbidden, KratosError.isForbidden],
      [404, KratosError.notFound, KratosError.isNotFound],
      [409, KratosError.conflict, KratosError.isConflict],
      [429, KratosError.tooManyRequests, KratosError.isTooManyRequests],
      [499, KratosError.clientClosed, KratosError.isClientClosed],
      [500, KratosError.internalServer, KratosError.isInternalServer],
      [501, KratosError.unimplemented, KratosError.isUnimplemented],
      [503, KratosError.serviceUnavailable, KratosError.isServiceUnavailable],
      [504, KratosError.gatewayTimeout, KratosError.isGatewayTimeout]
    ] as const
    for (const [code, make] of named) {
      const error = make("R", "m", { metadata: { a: "b" } })
      assert.deepStrictEqual([error.code, error.reason, error.message, error.metadata], [code, "R", "m", { a: "b" }])
      for (const [expected, , is] of named) assert.strictEqual(is(error), expected === code)
    }
    assert.isTrue(KratosError.isInternalServer(secret))
    assert.strictEqual(KratosError.reason(secret), "")
  })

  it("shows everything to whoever debugs the process", () => {
    const shown = inspect(new KratosError.KratosError({ ...full, cause: secret }))
    for (const part of ["KratosError", "404", "USER_NOT_FOUND", "hunter2", "KratosError.test.ts"]) assert.include(shown, part)
  })

  it("prints the line of Kratos", () => {
    assert.strictEqual(
      KratosError.format(new KratosError.KratosError({ ...full, cause: new Error("why") })),
      "error: code = 404 reason = USER_NOT_FOUND message = no such user metadata = map[at:eu id:7] cause = why"
    )
    assert.strictEqual(
      KratosError.format(KratosError.withCause(KratosError.make(500, "", "a"), KratosError.make(404, "R", "b"))),
      "error: code = 500 reason =  message = a metadata = map[] cause = error: code = 404 reason = R message = b metadata = map[] cause = <nil>"
    )
  })
})
