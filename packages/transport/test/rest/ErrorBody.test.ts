import * as KratosError from "@effect-kratos/core/error/KratosError"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { StatusSchema } from "../../src/gen/errors/errors_pb.ts"
import * as ErrorBody from "../../src/rest/ErrorBody.ts"

const error = KratosError.notFound("USER_NOT_FOUND", "no such user", { metadata: { id: "7" } })
const text = (body: Uint8Array) => new TextDecoder().decode(body)
const bytes = (text: string) => new TextEncoder().encode(text)

describe("ErrorBody.encode", () => {
  it("has all four keys in Kratos' order", () => {
    const { body, contentType, status } = ErrorBody.encode(error, undefined)
    assert.strictEqual(text(body), '{"code":404,"reason":"USER_NOT_FOUND","message":"no such user","metadata":{"id":"7"}}')
    assert.deepStrictEqual([status, contentType], [404, "application/json"])
    assert.strictEqual(
      text(ErrorBody.encode(KratosError.badRequest("", ""), "*/*").body),
      '{"code":400,"reason":"","message":"","metadata":{}}'
    )
  })

  it("follows Accept", () => {
    assert.strictEqual(ErrorBody.encode(error, "application/protojson").contentType, "application/protojson")
    const proto = ErrorBody.encode(error, "application/proto")
    assert.strictEqual(proto.contentType, "application/proto")
    assert.strictEqual(fromBinary(StatusSchema, proto.body).reason, "USER_NOT_FOUND")
    const form = ErrorBody.encode(error, "application/x-www-form-urlencoded")
    assert.strictEqual(text(form.body), "code=404&message=no+such+user&metadata%5Bid%5D=7&reason=USER_NOT_FOUND")
  })

  it("sends codes that no error can have as 500", () => {
    for (const code of [0, 99, 100, 200, 204, 299, 600, -1, 404.5, Number.NaN]) {
      const { body, status } = ErrorBody.encode({ ...KratosError.make(500, "R", "m"), code } as KratosError.KratosError, undefined)
      assert.deepStrictEqual([status, (JSON.parse(text(body)) as { code: number }).code], [500, 500], String(code))
    }
    for (const code of [300, 400, 422, 499, 599])
      assert.strictEqual(ErrorBody.encode(KratosError.make(code, "", ""), undefined).status, code)
  })

  it("keeps the cause in this process", () => {
    assert.notInclude(
      text(ErrorBody.encode(KratosError.internalServer("", "internal error", { cause: new Error("secret") }), undefined).body),
      "secret"
    )
  })
})

describe("ErrorBody.decode", () => {
  const read = (status: number, type: string | undefined, body: string | Uint8Array) => {
    const { code, message, metadata, reason } = ErrorBody.decode(status, type, typeof body === "string" ? bytes(body) : body)
    return { code, message, metadata, reason }
  }

  it("reads what encode writes, in every format", () => {
    for (const accept of ["application/json", "application/protojson", "application/proto", "application/x-www-form-urlencoded"]) {
      const { body, contentType, status } = ErrorBody.encode(error, accept)
      assert.isTrue(KratosError.is(ErrorBody.decode(status, contentType, body), error), accept)
      assert.deepStrictEqual(read(status, contentType, body), {
        code: 404,
        reason: "USER_NOT_FOUND",
        message: "no such user",
        metadata: { id: "7" }
      })
    }
  })

  it("trusts the status line more than the body", () => {
    assert.strictEqual(read(503, "application/json", '{"code":404,"reason":"R"}').code, 503)
  })

  it("leaves reason and message empty when the body cannot be read", () => {
    const nothing = { code: 502, reason: "", message: "", metadata: {} }
    for (const [type, body] of [
      ["text/html", "<html>Bad Gateway</html>"],
      ["application/json", ""],
      ["application/json", "{"],
      ["application/json", "[]"],
      ["application/proto", Uint8Array.of(255)],
      [undefined, "oops"]
    ] as const) {
      assert.deepStrictEqual(read(502, type, body), nothing, `${type} ${String(body)}`)
    }
    assert.isDefined(ErrorBody.decode(502, "application/json", bytes("{")).cause)
  })

  it("reads the JSON of Kratos v3, where empty keys are missing", () => {
    assert.deepStrictEqual(read(400, "application/json", '{"code":400,"reason":"CODEC","extra":1}'), {
      code: 400,
      reason: "CODEC",
      message: "",
      metadata: {}
    })
  })

  it("is not fooled by keys of prototypes", () => {
    const { metadata } = ErrorBody.decode(400, "application/json", bytes('{"metadata":{"__proto__":"x"}}'))
    assert.deepStrictEqual(Object.keys(metadata), ["__proto__"])
    const proto = toBinary(StatusSchema, create(StatusSchema, { metadata: { constructor: "y" } }))
    assert.strictEqual(ErrorBody.decode(400, "application/proto", proto).metadata["constructor"], "y")
  })
})
