import { create, createFileRegistry, equals, fromJsonString, toJsonString, type DescMessage } from "@bufbuild/protobuf"
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema
} from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Codec from "../../src/codec/Codec.ts"
import * as Json from "../../src/codec/Json.ts"
import * as JsonWriter from "../../src/codec/JsonWriter.ts"
import {
  IdReplySchema,
  IdRequestSchema,
  ListWideReplySchema,
  TagsRequestSchema,
  UpdateWideReplySchema,
  Wide_NestedSchema,
  WideSchema
} from "../gen/test/v1/rest_pb.ts"
import { message, random } from "./randomMessage.ts"

const textOf = (bytes: Result.Result<Uint8Array, unknown>) => new TextDecoder().decode(Result.getOrThrow(bytes))

describe("JsonWriter", () => {
  for (const alwaysEmitImplicit of [true, false]) {
    it(`writes the bytes of protobuf-es (alwaysEmitImplicit: ${alwaysEmitImplicit})`, () => {
      const write = JsonWriter.make({ alwaysEmitImplicit }).message
      for (let seed = 0; seed < 300; seed++) {
        for (const schema of [WideSchema, Wide_NestedSchema, ListWideReplySchema, UpdateWideReplySchema]) {
          const value = message(schema, random(seed))
          assert.strictEqual(
            write(schema)(value),
            toJsonString(schema as DescMessage, value, { alwaysEmitImplicit }),
            `seed ${seed} of ${schema.typeName}`
          )
        }
      }
    })
  }

  it("writes long, short and broken text alike", () => {
    const write = JsonWriter.make({ alwaysEmitImplicit: true }).message(TagsRequestSchema)
    for (const id of [
      "",
      "plain",
      'quo"te',
      "back\\slash",
      "\u0000\u001f",
      "x".repeat(49),
      "\ud800",
      "a\udc00b",
      "\u2028",
      "é".repeat(60),
      '"'.repeat(60)
    ]) {
      const value = create(TagsRequestSchema, { id, tags: [id] })
      assert.strictEqual(write(value), toJsonString(TagsRequestSchema, value, { alwaysEmitImplicit: true }))
    }
  })

  it("refuses values that are not of their field's type, and says nothing about them", () => {
    for (const broken of [{ id: 1 }, { id: undefined }, { tags: ["a", null] }]) {
      const error = Result.getOrThrow(Result.flip(Json.json.encode(TagsRequestSchema, Object.assign(create(TagsRequestSchema), broken))))
      assert.strictEqual(error.code, 500)
      assert.strictEqual(error.message, "internal error")
    }
  })

  it("refuses a message of another type, even one of the same fields", () => {
    // on purpose: what a handler in JavaScript could return
    const foreign = create(IdRequestSchema, { id: "a" }) as never
    assert.isTrue(Result.isFailure(Json.json.encode(IdReplySchema, foreign)))
  })

  it("leaves names and presence that a plain walk gets wrong to protobuf-es", () => {
    const string = (name: string, number: number, jsonName: string, label = FieldDescriptorProto_Label.OPTIONAL) => ({
      name,
      number,
      jsonName,
      label,
      type: FieldDescriptorProto_Type.STRING
    })
    const file = (syntax: string, message: string, field: ReadonlyArray<ReturnType<typeof string>>) =>
      create(FileDescriptorProtoSchema, { name: `${message}.proto`, syntax, messageType: [{ name: message, field: [...field] }] })
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, {
        file: [
          file("proto3", "Numbers", [string("b", 1, "b"), string("a", 2, "1")]),
          file("proto3", "Proto", [string("a", 1, "__proto__")]),
          file("proto2", "Required", [string("a", 1, "a", FieldDescriptorProto_Label.REQUIRED)]),
          file("proto2", "Optional", [string("a", 1, "a")])
        ]
      })
    )
    const write = JsonWriter.make({ alwaysEmitImplicit: true }).message
    for (const name of ["Numbers", "Proto", "Required", "Optional"]) {
      const schema = registry.getMessage(name)!
      for (const init of [{ a: "x", b: "y" }, {}]) {
        const value = create(schema, init as never)
        const outcome = (encode: () => string) => Result.try({ try: encode, catch: () => "refused" })
        assert.deepStrictEqual(
          outcome(() => write(schema)(value)),
          outcome(() => toJsonString(schema, value, { alwaysEmitImplicit: true })),
          `${name} ${JSON.stringify(init)}`
        )
      }
    }
    assert.strictEqual(
      write(registry.getMessage("Numbers")!)(create(registry.getMessage("Numbers")!, { a: "x", b: "y" } as never)),
      '{"1":"x","b":"y"}'
    )
  })
})

describe("Json", () => {
  it("reads what it writes", () => {
    for (let seed = 0; seed < 200; seed++) {
      const value = message(WideSchema, random(seed), (field) => field.message?.typeName !== "google.protobuf.Any")
      const bytes = Result.getOrThrow(Json.json.encode(WideSchema, value as never))
      const back = Result.getOrThrow(Json.json.decode(WideSchema, bytes))
      // -0 is written as 0
      const all = { alwaysEmitImplicit: true }
      assert.strictEqual(toJsonString(WideSchema, back, all), toJsonString(WideSchema, value as never, all), `seed ${seed}`)
    }
  })

  it("has all implicit fields in replies, unless told otherwise", () => {
    const value = create(TagsRequestSchema)
    assert.strictEqual(textOf(Json.json.encode(TagsRequestSchema, value)), '{"id":"","tags":[]}')
    assert.strictEqual(textOf(Json.make({ emitImplicit: false }).encode(TagsRequestSchema, value)), "{}")
  })

  it("skips unknown fields, unless told otherwise", () => {
    const bytes = new TextEncoder().encode('{"id":"a","more":1}')
    assert.strictEqual(Result.getOrThrow(Json.json.decode(TagsRequestSchema, bytes)).id, "a")
    assert.isTrue(Result.isFailure(Json.make({ ignoreUnknown: false }).decode(TagsRequestSchema, bytes)))
  })

  it("writes and reads one field alone", () => {
    const value = fromJsonString(
      WideSchema,
      '{"strings":["a"],"labels":{"a":"b"},"int64Value":"5","nested":{"name":"n"},"struct":{"a":1},"choiceText":"c"}'
    )
    const field = Json.json.field!
    const cases = {
      strings: '["a"]',
      labels: '{"a":"b"}',
      int64Value: '"5"',
      struct: '{"a":1}',
      choiceText: '"c"',
      color: '"COLOR_UNSPECIFIED"',
      choiceNumber: "null",
      maybeText: "null"
    }
    for (const [name, expected] of Object.entries(cases)) {
      const desc = WideSchema.fields.find((field) => field.localName === name || field.jsonName === name)!
      assert.strictEqual(textOf(field.encode(desc, value)), expected, name)
    }
    assert.strictEqual(textOf(field.encode(UpdateWideReplySchema.field.wide, create(UpdateWideReplySchema))), "{}")
    const target = create(TagsRequestSchema, { id: "kept", tags: ["gone"] })
    Result.getOrThrow(field.decode(TagsRequestSchema.field.tags, target, new TextEncoder().encode('["x"]')))
    assert.isTrue(equals(TagsRequestSchema, target, create(TagsRequestSchema, { id: "kept", tags: ["x"] })))
  })

  it("repeats only a little of the input in errors, and nothing of the runtime's", () => {
    const key = "k".repeat(5_000)
    const error = Result.getOrThrow(Result.flip(Json.json.decode(IdReplySchema, new TextEncoder().encode(`{"${key}":1,"${key}":2}`))))
    assert.strictEqual(error.reason, "CODEC")
    assert.isBelow(error.message.length, 250)
    const internal = Codec.decoding("body", () => {
      throw new TypeError("Cannot read properties of undefined (reading 'secret')")
    })
    assert.strictEqual(Result.getOrThrow(Result.flip(internal)).message, "body")
  })
})
