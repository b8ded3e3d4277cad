import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Codecs from "../../src/codec/Codecs.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Proto from "../../src/codec/Proto.ts"
import { TagsRequestSchema, Wide_NestedSchema } from "../gen/test/v1/rest_pb.ts"

describe("Codecs", () => {
  const replies: ReadonlyArray<readonly [accept: string | undefined, name: string]> = [
    [undefined, "json"],
    ["", "json"],
    ["*/*", "json"],
    ["application/*", "json"],
    ["application/json", "json"],
    ["application/protojson", "protojson"],
    ["APPLICATION/ProtoJSON; charset=utf-8", "protojson"],
    ["application/proto", "proto"],
    ["application/protobuf", "proto"],
    ["application/x-www-form-urlencoded", "x-www-form-urlencoded"],
    ["application/xml", "xml"],
    ["text/xml; charset=utf-8", "xml"],
    ["application/xml, application/json", "xml"],
    ["application/yaml", "yaml"],
    ["application/msgpack", "msgpack"],
    ["application/problem+json", "json"],
    ["text/html", "json"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", "json"],
    ["application/proto, application/json", "proto"],
    ["application/json;q=0.5, application/proto;q=0.9", "proto"],
    ["application/json;q=0.5,application/proto;q=0.4", "json"],
    ["application/proto;q=0, application/protojson;q=0.1", "protojson"],
    ["application/proto;q=0", "json"],
    ["application/proto;q=2, application/protojson;q=0.1", "protojson"],
    ["*/*;q=0.1, application/protojson;q=0.2", "protojson"],
    ["application/protojson;q=0.2, */*", "json"],
    ["text/plain, application/proto", "proto"],
    [`${"text/x,".repeat(40)}application/proto`, "json"],
    [", ,;;q=,", "json"]
  ]
  for (const [accept, name] of replies) {
    it(`replies ${name} to ${accept?.slice(0, 80)}`, () => assert.strictEqual(Codecs.standard.forReply(accept).name, name))
  }

  it("takes codecs of users, also in place of its own", () => {
    const csv = { ...Proto.codec, name: "csv", contentType: "text/csv", contentTypes: ["text/csv"] }
    const mine = { ...Json.json, name: "mine" }
    const codecs = Codecs.of({ codecs: [csv, mine] })
    assert.strictEqual(codecs.forReply("text/csv").name, "csv")
    assert.strictEqual(Result.getOrThrow(codecs.forBody("Text/CSV")).name, "csv")
    for (const accept of [undefined, "*/*", "application/json", "text/html"]) assert.strictEqual(codecs.forReply(accept).name, "mine")
    assert.strictEqual(codecs.forReply("application/protojson").name, "protojson")
  })

  it("has another JSON when asked to", () => {
    const codecs = Codecs.of({ json: "std" })
    for (const accept of [undefined, "*/*", "application/json"]) assert.strictEqual(codecs.forReply(accept), Json.std)
    assert.strictEqual(Result.getOrThrow(codecs.forBody(undefined)), Json.std)
    assert.strictEqual(codecs.forReply("application/protojson"), Json.protojson)
    assert.strictEqual(Codecs.of({}).forReply(undefined), Json.json)
  })

  const errors: ReadonlyArray<readonly [accept: string | undefined, name: string]> = [
    [undefined, "json"],
    ["*/*", "json"],
    ["application/proto", "proto"],
    ["application/problem+json", "problem+json"],
    ["application/json, application/problem+json", "problem+json"],
    ["application/json, Application/Problem+JSON;q=0.1", "problem+json"],
    ["application/json, application/problem+json;q=0", "json"],
    ["application/problem+jsonx", "json"]
  ]
  for (const [accept, name] of errors) {
    it(`has errors in ${name} for ${accept}`, () => assert.strictEqual(Codecs.standard.forError(accept).name, name))
  }

  it("takes a list of its own", () => {
    const codecs = Codecs.make([Proto.codec, Json.json])
    assert.strictEqual(codecs.forReply("text/html").name, "proto")
    assert.strictEqual(codecs.forReply("application/json").name, "json")
    assert.strictEqual(Result.getOrThrow(Result.flip(codecs.forBody("application/protojson"))).code, 415)
  })
})

describe("Proto", () => {
  it("reads what it writes", () => {
    const value = create(TagsRequestSchema, { id: "a", tags: ["b"] })
    assert.deepStrictEqual(
      Result.getOrThrow(Proto.codec.decode(TagsRequestSchema, Result.getOrThrow(Proto.codec.encode(TagsRequestSchema, value)))),
      value
    )
  })

  it("says 400 to nesting without end", () => {
    // field 4 of `Nested` is the message itself
    const deep = (levels: number) => {
      let nested = new Uint8Array(0)
      for (let level = 0; level < levels; level++) {
        const length = nested.length
        const prefix = length < 128 ? [length] : [(length & 127) | 128, length >> 7]
        nested = Uint8Array.from([0x22, ...prefix, ...nested])
      }
      return nested
    }
    assert.isTrue(Result.isSuccess(Proto.codec.decode(Wide_NestedSchema, deep(99))))
    assert.strictEqual(Result.getOrThrow(Result.flip(Proto.codec.decode(Wide_NestedSchema, deep(100)))).reason, "CODEC")
  })
})
