import { create, fromBinary, fromJson, type DescMethod, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Codecs from "../../src/codec/Codecs.ts"
import * as Json from "../../src/codec/Json.ts"
import { HttpRuleSchema } from "../../src/gen/google/api/http_pb.ts"
import * as Binding from "../../src/rest/Binding.ts"
import { IdReplySchema, ListWideReplySchema, Rest, TagsRequestSchema, UpdateWideReplySchema, WideSchema } from "../gen/test/v1/rest_pb.ts"

const bindingOf = (method: DescMethod) => Result.getOrThrow(Binding.fromMethod(method))[0]!
const rule = (init: MessageInitShape<typeof HttpRuleSchema>) => create(HttpRuleSchema, init)
const get = (path: string, rest: MessageInitShape<typeof HttpRuleSchema> = {}) => rule({ pattern: { case: "get", value: path }, ...rest })
const input: Binding.Input = { variables: [], query: "", contentType: undefined, body: undefined }

const reply = (method: DescMethod, message: object, accept?: string) => {
  const { body, contentType } = Result.getOrThrow(bindingOf(method).respond(message, accept))
  return [contentType, new TextDecoder().decode(body)] as const
}

describe("Binding.compile", () => {
  const broken: ReadonlyArray<readonly [name: string, rule: ReturnType<typeof rule>, says: string]> = [
    ["a template that does not parse", get("/{"), "brace"],
    ["a variable without a field", get("/{nowhere}"), '"nowhere"'],
    ["a variable without a nested field", get("/{nested.nowhere}"), '"nested.nowhere"'],
    ["a variable below a scalar", get("/{string_value.x}"), '"string_value.x"'],
    ["a list in the path", get("/{strings}"), '"strings"'],
    ["a map in the path", get("/{labels}"), '"labels"'],
    ["a field inside of a list in the path", get("/{nesteds.name}"), '"nesteds.name"'],
    ["a message in the path", get("/{nested}"), '"nested"'],
    ["a body without a field", get("/", { body: "nowhere" }), '"nowhere"'],
    ["a nested body", get("/", { body: "nested.name" }), '"nested.name"'],
    ["a reply without a field", get("/", { responseBody: "nowhere" }), '"nowhere"'],
    ["a method that is none", rule({ pattern: { case: "custom", value: { kind: "NO WAY", path: "/" } } }), "NO WAY"],
    ["a broken additional binding", get("/ok", { additionalBindings: [get("/{nowhere}")] }), '"nowhere"']
  ]
  for (const [name, rule, says] of broken) {
    it(`refuses ${name}`, () => {
      const error = Result.getOrThrow(Result.flip(Binding.compile(Rest.method.createWide, rule)))
      assert.strictEqual(error._tag, "RestRuleError")
      assert.strictEqual(error.method, "test.v1.Rest.CreateWide")
      assert.include(error.message, says)
    })
  }

  it("has a route for the rule and for each additional binding, but not for theirs", () => {
    const routes = Result.getOrThrow(
      Binding.compile(Rest.method.createWide, get("/a", { additionalBindings: [get("/b", { additionalBindings: [get("/c")] })] }))
    )
    assert.deepStrictEqual(
      routes.map((route) => route.template.source),
      ["/a", "/b"]
    )
  })

  it("has none where the client streams, and none without a rule", () => {
    for (const method of [Rest.method.collectIds, Rest.method.chat, Rest.method.implicit])
      assert.deepStrictEqual(Result.getOrThrow(Binding.fromMethod(method)), [])
    assert.lengthOf(Result.getOrThrow(Binding.fromMethod(Rest.method.watchWide)), 1)
  })

  it("serves a rule without a pattern by the operation", () => {
    const [route] = Result.getOrThrow(Binding.compile(Rest.method.implicit, rule({ body: "*" })))
    assert.deepStrictEqual([route!.httpMethod, route!.template.source], ["POST", "/test.v1.Rest/Implicit"])
  })
})

describe("Binding.bind", () => {
  it("does not change a message that another request got", () => {
    const { bind } = bindingOf(Rest.method.getUser)
    const [first, second] = ["a", "b"].map((id) => Result.getOrThrow(bind({ ...input, variables: [id, "1"] })))
    assert.deepStrictEqual(first, Result.getOrThrow(bind({ ...input, variables: ["a", "1"] })))
    assert.notDeepEqual(first, second)
  })

  it("hands raw bytes on without a copy", () => {
    const body = Uint8Array.of(1, 2, 3)
    const message = Result.getOrThrow(bindingOf(Rest.method.upload).bind({ ...input, variables: ["n"], contentType: "image/png", body }))
    assert.strictEqual((message as unknown as { file: { data: Uint8Array } }).file.data, body)
  })

  it("never repeats a value in its errors", () => {
    const secret = "hunter2"
    for (const [method, given] of [
      [Rest.method.getUser, { ...input, variables: ["u", secret] }],
      [Rest.method.getWide, { ...input, variables: ["s"], query: `int32_value=${secret}` }]
    ] as const) {
      const error = Result.getOrThrow(Result.flip(bindingOf(method).bind(given)))
      assert.deepStrictEqual([error.code, error.reason], [400, "CODEC"])
      assert.notInclude(error.message, secret)
    }
  })

  it("uses the codecs that it is given", () => {
    const [route] = Result.getOrThrow(Binding.fromMethod(Rest.method.cancelTask, { codecs: Codecs.make([Json.json]) }))
    const refused = route!.bind({ ...input, variables: ["1"], contentType: "application/proto", body: Uint8Array.of(1) })
    assert.strictEqual(Result.getOrThrow(Result.flip(refused)).code, 415)
  })
})

describe("Binding.respond", () => {
  it("writes the whole message in the format that was asked for", () => {
    const message = { id: "1", note: "a b" }
    assert.deepStrictEqual(reply(Rest.method.headWide, message), ["application/json", '{"id":"1","note":"a b"}'])
    assert.deepStrictEqual(reply(Rest.method.headWide, message, "application/protojson"), [
      "application/protojson",
      '{"id":"1","note":"a b"}'
    ])
    assert.deepStrictEqual(reply(Rest.method.headWide, message, "application/x-www-form-urlencoded"), [
      "application/x-www-form-urlencoded",
      "id=1&note=a+b"
    ])
    const { body, contentType } = Result.getOrThrow(
      bindingOf(Rest.method.headWide).respond(create(IdReplySchema, message), "application/proto")
    )
    assert.strictEqual(contentType, "application/proto")
    assert.deepStrictEqual(fromBinary(IdReplySchema, body), create(IdReplySchema, message))
  })

  it("takes initialisers and messages alike", () => {
    assert.deepStrictEqual(reply(Rest.method.headWide, { id: "1" }), reply(Rest.method.headWide, create(IdReplySchema, { id: "1" })))
  })

  it("writes one field of the reply", () => {
    const wide = fromJson(WideSchema, { far: "x" })
    const [type, text] = reply(Rest.method.updateWide, create(UpdateWideReplySchema, { id: "no", wide }))
    assert.strictEqual(type, "application/json")
    assert.strictEqual((JSON.parse(text) as JsonObject)["far"], "x")
    assert.strictEqual(reply(Rest.method.updateWide, {})[1], "{}")
    assert.strictEqual(reply(Rest.method.putTags, create(TagsRequestSchema, { tags: ["a"] }))[1], '["a"]')
    assert.strictEqual(reply(Rest.method.listWide, create(ListWideReplySchema))[1], "[]")
  })

  it("writes one field in other formats when it is a message, else as JSON", () => {
    const wide = fromJson(WideSchema, { far: "x" })
    const { body } = Result.getOrThrow(
      bindingOf(Rest.method.updateWide).respond(create(UpdateWideReplySchema, { wide }), "application/proto")
    )
    assert.strictEqual(fromBinary(WideSchema, body).far, "x")
    assert.deepStrictEqual(
      reply(Rest.method.updateWide, create(UpdateWideReplySchema, { wide }), "application/x-www-form-urlencoded")[1],
      "far=x"
    )
    assert.deepStrictEqual(reply(Rest.method.putTags, { tags: ["a"] }, "application/proto"), ["application/json", '["a"]'])
  })

  it("writes raw bytes under their own type, whatever was asked for", () => {
    const data = new TextEncoder().encode("<b>")
    assert.deepStrictEqual(reply(Rest.method.download, { contentType: "text/html", data }, "application/json"), ["text/html", "<b>"])
    assert.deepStrictEqual(reply(Rest.method.download, { data }), ["application/octet-stream", "<b>"])
    assert.deepStrictEqual(reply(Rest.method.download, {}), ["application/octet-stream", ""])
    assert.strictEqual(reply(Rest.method.download, { contentType: "text/html\r\nset-cookie: a=b", data })[0], "application/octet-stream")
  })

  it("says 500 without detail to a reply that does not fit the contract", () => {
    const error = Result.getOrThrow(Result.flip(bindingOf(Rest.method.headWide).respond({ id: 7 }, undefined)))
    assert.deepStrictEqual([error.code, error.reason, error.message], [500, "", "internal error"])
  })
})
