import * as KratosError from "@effect-kratos/core/error/KratosError"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Codecs from "../../src/codec/Codecs.ts"
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

  it("is a problem document for those who ask", () => {
    const problem = ErrorBody.encode(error, "application/json, application/problem+json")
    assert.deepStrictEqual([problem.status, problem.contentType], [404, "application/problem+json"])
    assert.deepStrictEqual(JSON.parse(text(problem.body)), {
      type: "urn:reason:USER_NOT_FOUND",
      title: "Not Found",
      status: 404,
      detail: "no such user",
      reason: "USER_NOT_FOUND",
      metadata: { id: "7" }
    })
    assert.deepStrictEqual(JSON.parse(text(ErrorBody.encode(KratosError.make(499, "", ""), "application/problem+json").body)), {
      type: "about:blank",
      title: "Error",
      status: 499
    })
    const odd = KratosError.badRequest("a b/\ud800", "m")
    assert.include(text(ErrorBody.encode(odd, "application/problem+json").body), '"urn:reason:a%20b%2F%EF%BF%BD"')
  })

  it("drops what is empty in the JSON of Go's standard library", () => {
    const std = Codecs.of({ json: "std" })
    assert.strictEqual(text(ErrorBody.encode(KratosError.badRequest("R", ""), undefined, std).body), '{"code":400,"reason":"R"}')
    assert.strictEqual(
      text(ErrorBody.encode(KratosError.badRequest("R", ""), "application/protojson", std).body),
      '{"code":400,"reason":"R","message":"","metadata":{}}'
    )
  })

  it("has a form in every format, maps included", () => {
    const xml = ErrorBody.encode(error, "application/xml")
    assert.strictEqual(
      text(xml.body),
      "<Status><Code>404</Code><Reason>USER_NOT_FOUND</Reason><Message>no such user</Message><Metadata><Key>id</Key><Value>7</Value></Metadata></Status>"
    )
    assert.strictEqual(
      text(ErrorBody.encode(error, "application/yaml").body),
      'code: 404\nreason: USER_NOT_FOUND\nmessage: "no such user"\nmetadata:\n    id: "7"\n'
    )
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
    for (const type of ["json", "protojson", "proto", "x-www-form-urlencoded", "problem+json", "xml", "yaml", "msgpack"]) {
      const accept = `application/${type}`
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

  it("reads problem documents of others", () => {
    const type = "application/problem+json; charset=utf-8"
    assert.deepStrictEqual(read(403, type, '{"title":"No credit","status":403,"balance":30}'), {
      code: 403,
      reason: "",
      message: "No credit",
      metadata: {}
    })
    assert.deepStrictEqual(read(400, type, '{"type":"urn:reason:A%20B","detail":"d","title":1,"status":"x","metadata":{"a":"b","c":1}}'), {
      code: 400,
      reason: "A B",
      message: "d",
      metadata: { a: "b" }
    })
    for (const body of ["[]", "{", "1", '{"type":"urn:reason:%ff"}'])
      assert.deepStrictEqual(read(400, type, body), { code: 400, reason: "", message: "", metadata: {} }, body)
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
