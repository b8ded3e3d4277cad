import {
  create,
  createFileRegistry,
  equals,
  fromJsonString,
  ScalarType,
  toJsonString,
  type DescField,
  type DescMessage,
  type MessageInitShape
} from "@bufbuild/protobuf"
import {
  anyPack,
  DurationSchema,
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
  Color,
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

/** Fields whose text is not that of protobuf-es: it writes a float as the double that it is, and zero without its sign. */
const isFloat = (field: DescField): boolean =>
  field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT || /\.(?:Double|Float)Value$/.test(field.message?.typeName ?? "")

describe("JsonWriter", () => {
  for (const unset of ["implicit", "none"] as const) {
    it(`writes the bytes of protobuf-es (unset: ${unset})`, () => {
      const write = JsonWriter.make({ unset }).message
      for (let seed = 0; seed < 300; seed++) {
        for (const schema of [WideSchema, Wide_NestedSchema, ListWideReplySchema, UpdateWideReplySchema]) {
          const value = message(schema, random(seed), (field) => !isFloat(field))
          assert.strictEqual(
            write(schema)(value).replaceAll("-0,", "0,"),
            toJsonString(schema as DescMessage, value, { alwaysEmitImplicit: unset === "implicit" }),
            `seed ${seed} of ${schema.typeName}`
          )
        }
      }
    })
  }

  it("writes numbers as Go does", () => {
    const write = JsonWriter.make({ unset: "none" }).message(WideSchema)
    const rows: ReadonlyArray<readonly [init: MessageInitShape<typeof WideSchema>, text: string]> = [
      [{ floatValue: Math.fround(1.1) }, '{"floatValue":1.1}'],
      [{ floatValue: 1.1 }, '{"floatValue":1.1}'],
      [{ floatValue: 3_495_676.25 }, '{"floatValue":3495676.2}'],
      [{ floatValue: Math.fround(3.4e38) }, '{"floatValue":3.4e+38}'],
      [{ floatValue: 2 ** -149 }, '{"floatValue":1e-45}'],
      [{ floatValue: 16_777_216 }, '{"floatValue":16777216}'],
      [{ floatValue: -Infinity }, '{"floatValue":"-Infinity"}'],
      [{ doubleValue: -0 }, '{"doubleValue":-0}'],
      [{ floatValue: -0 }, '{"floatValue":-0}'],
      [{ doubleValue: Number.NaN }, '{"doubleValue":"NaN"}'],
      [{ doubles: [1e21, 1e-7, -0] }, '{"doubles":[1e+21,1e-7,-0]}'],
      [{ wrappedFloat: Math.fround(0.3) }, '{"wrappedFloat":0.3}'],
      [{ struct: { a: -0 } }, '{"struct":{"a":-0}}']
    ]
    for (const [init, text] of rows) assert.strictEqual(write(create(WideSchema, init)), text)
    // no float is as large
    assert.throws(() => write(create(WideSchema, { floatValue: 1e39 })))
  })

  it("says null for unset messages, and nothing for members of a oneof and optional fields", () => {
    const text = JsonWriter.make({ unset: "all" }).message(WideSchema)(create(WideSchema))
    const document = JSON.parse(text) as Record<string, unknown>
    for (const field of WideSchema.fields) {
      const isSilent = field.oneof !== undefined || field.proto.proto3Optional || field.jsonName === "value"
      const isNull = field.fieldKind === "message" || field.jsonName === "nullValue"
      assert.strictEqual(
        isSilent ? "absent" : isNull ? "null" : "a value",
        !Object.hasOwn(document, field.jsonName) ? "absent" : document[field.jsonName] === null ? "null" : "a value",
        field.name
      )
    }
    assert.isTrue(equals(WideSchema, Result.getOrThrow(Json.json.decode(WideSchema, new TextEncoder().encode(text))), create(WideSchema)))
  })

  it("has names of proto and numbers of enum values for those who want them", () => {
    const codec = Json.make({ unset: "none", protoNames: true, enumNumbers: true })
    const value = create(WideSchema, {
      stringValue: "s",
      color: Color.RED,
      nested: { child: { name: "n" } },
      renamed: "r",
      colors: [Color.GREEN]
    })
    const bytes = codec.encode(WideSchema, value)
    assert.strictEqual(textOf(bytes), '{"string_value":"s","color":1,"nested":{"child":{"name":"n"}},"colors":[2],"renamed":"r"}')
    assert.isTrue(equals(WideSchema, Result.getOrThrow(Json.json.decode(WideSchema, Result.getOrThrow(bytes))), value))
  })

  it("packs and unpacks what the contract has", () => {
    const any = anyPack(IdReplySchema, create(IdReplySchema, { id: "a" }))
    const value = create(WideSchema, { any })
    const bytes = Json.make({ unset: "none" }).encode(WideSchema, value)
    assert.strictEqual(textOf(bytes), '{"any":{"@type":"type.googleapis.com/test.v1.IdReply","id":"a"}}')
    assert.deepStrictEqual(Result.getOrThrow(Json.json.decode(WideSchema, Result.getOrThrow(bytes))).any, any)
    const wrapped = anyPack(DurationSchema, create(DurationSchema, { seconds: 1n }))
    assert.strictEqual(
      textOf(Json.make({ unset: "none" }).encode(WideSchema, create(WideSchema, { any: wrapped }))),
      '{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}'
    )
    const unknown = new TextEncoder().encode('{"any":{"@type":"type.googleapis.com/nothing.Known"}}')
    assert.strictEqual(Result.getOrThrow(Result.flip(Json.json.decode(WideSchema, unknown))).reason, "CODEC")
    assert.isTrue(
      Result.isFailure(Json.json.encode(WideSchema, create(WideSchema, { any: { typeUrl: "x/nothing.Known", value: new Uint8Array() } })))
    )
  })

  it("writes long, short and broken text alike", () => {
    const write = JsonWriter.make({ unset: "implicit" }).message(TagsRequestSchema)
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
      // readers refuse half of a character
      const whole = create(TagsRequestSchema, { id: id.toWellFormed(), tags: [id.toWellFormed()] })
      const value = create(TagsRequestSchema, { id, tags: [id] })
      assert.strictEqual(write(value), toJsonString(TagsRequestSchema, whole, { alwaysEmitImplicit: true }))
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

  it("knows names and presence that a plain walk gets wrong", () => {
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
    const write = JsonWriter.make({ unset: "implicit" }).message
    for (const name of ["Numbers", "Proto", "Required", "Optional"]) {
      const schema = registry.getMessage(name)!
      for (const init of [{ a: "x", b: "y" }, {}]) {
        const value = create(schema, init as never)
        const outcome = (encode: () => unknown) => Result.try({ try: encode, catch: () => "refused" })
        assert.deepStrictEqual(
          outcome(() => JSON.parse(write(schema)(value)) as unknown),
          outcome(() => JSON.parse(toJsonString(schema, value, { alwaysEmitImplicit: true })) as unknown),
          `${name} ${JSON.stringify(init)}`
        )
      }
    }
    assert.strictEqual(
      write(registry.getMessage("Numbers")!)(create(registry.getMessage("Numbers")!, { a: "x", b: "y" } as never)),
      '{"b":"y","1":"x"}'
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
    assert.strictEqual(textOf(Json.make({ unset: "none" }).encode(TagsRequestSchema, value)), "{}")
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
    const strict = Json.make({ ignoreUnknown: false })
    const error = Result.getOrThrow(Result.flip(strict.decode(IdReplySchema, new TextEncoder().encode(`{"${key}":1}`))))
    assert.strictEqual(error.reason, "CODEC")
    assert.isBelow(error.message.length, 250)
    const internal = Codec.decoding("body", () => {
      throw new TypeError("Cannot read properties of undefined (reading 'secret')")
    })
    assert.strictEqual(Result.getOrThrow(Result.flip(internal)).message, "body")
  })
})
