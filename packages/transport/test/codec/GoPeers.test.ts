/**
 * What real Go codecs make of generated structs, and what we make of it: `goValues.json` was written by a program of Go 1.26 with protobuf 1.36,
 * `encoding/json`, `encoding/xml`, yaml.v3 and vmihailenco/msgpack v5. The messages are in protobuf-JSON; a format is absent where Go refuses.
 */
import { create, createRegistry, equals, fromBinary, fromJson, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import type * as Codec from "../../src/codec/Codec.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Msgpack from "../../src/codec/Msgpack.ts"
import * as Xml from "../../src/codec/Xml.ts"
import * as Yaml from "../../src/codec/Yaml.ts"
import { file_errors_errors } from "../../src/gen/errors/errors_pb.ts"
import { file_test_v1_rest, TagsRequestSchema, UserRequestSchema, Wide_NestedSchema, WideSchema } from "../gen/test/v1/rest_pb.ts"
import { message, random } from "./randomMessage.ts"

interface Case {
  readonly name: string
  readonly type: string
  readonly message: never
  readonly std?: string
  readonly yaml?: string
  readonly xml?: string
  readonly msgpack?: string
}

const cases = JSON.parse(readFileSync(new URL("goValues.json", import.meta.url), "utf8")) as ReadonlyArray<Case>
const registry = createRegistry(file_test_v1_rest, file_errors_errors)

/** A message as it comes off the wire: floats have 32 bits. */
const canonical = (schema: DescMessage, value: Message): Message => fromBinary(schema, toBinary(schema, value))

const read = (codec: Codec.Codec, schema: DescMessage, bytes: Uint8Array): Message => Result.getOrThrow(codec.decode(schema, bytes))
const write = (codec: Codec.Codec, schema: DescMessage, value: Message): Uint8Array =>
  Result.getOrThrow(codec.encode(schema, value as never))
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

// Go's own forms cannot tell these apart
const lossy = new Set(["optional zero"])
// U+0001 has no place in XML, nor have bytes: Go writes a replacement
const lossyXml = new Set([...lossy, "nested", "upload"])

/** Maps have no order: theirs, by key, for a comparison by bytes. */
const sorted = (value: Message): never => {
  const sort = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(sort)
    // of which there are many
    if (Number.isNaN(part)) return Number.NaN
    if (typeof part !== "object" || part === null || part instanceof Uint8Array) return part
    const { $typeName, ...rest } = part as Record<string, unknown>
    const entries = Object.entries(rest).map(([key, item]) => [key, sort(item)] as const)
    if ($typeName !== undefined)
      return Object.assign(Object.create(Object.getPrototypeOf(part) as object), { $typeName }, Object.fromEntries(entries))
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  return sort(value) as never
}

describe("messages of Go", () => {
  for (const { message: json, msgpack, name, std, type, xml, yaml } of cases) {
    const schema = registry.getMessage(type)!
    const value = canonical(schema, fromJson(schema, json, { registry }))
    const same = (actual: Message) => assert.deepStrictEqual(toBinary(schema, sorted(actual)), toBinary(schema, sorted(value)))

    it(`std JSON: ${name}`, () => {
      const written = Json.std.encode(schema, value as never)
      if (std === undefined) {
        // flags as keys of maps are what we can write and Go cannot; NaN nobody can
        assert.strictEqual(Result.isSuccess(written), name === "map of flags")
        return
      }
      assert.strictEqual(text(Result.getOrThrow(written)), std)
      if (!lossy.has(name)) same(read(Json.std, schema, bytes(std)))
    })
    it(`YAML: ${name}`, () => {
      if (lossy.has(name)) return
      same(read(Yaml.codec, schema, bytes(yaml!)))
      same(read(Yaml.codec, schema, write(Yaml.codec, schema, value)))
    })
    if (xml !== undefined) {
      it(`XML: ${name}`, () => {
        if (!lossyXml.has(name)) same(read(Xml.codec, schema, bytes(xml)))
        if (name !== "upload") assert.strictEqual(text(write(Xml.codec, schema, value)), xml)
      })
    }
    it(`MessagePack: ${name}`, () => {
      if (lossy.has(name)) return
      if (msgpack !== undefined) same(read(Msgpack.codec, schema, Buffer.from(msgpack, "hex")))
      same(read(Msgpack.codec, schema, write(Msgpack.codec, schema, value)))
    })
  }
})

describe("round trips", () => {
  // what the forms of Go cannot tell apart, or cannot hold
  const told = (name: string) => (field: { readonly name: string }) =>
    field.name !== "maybe_bytes" &&
    (name !== "XML" || !/blobs|bytes|by_name|any|labels|by_number|text|string|name|struct|value|list|far|label|tags/.test(field.name))
  // numbers that JSON does not have, and a value that is null, which Go takes for none
  const finite = (field: { readonly name: string }) => !/double|float|^value$/.test(field.name)
  for (const [name, codec] of [
    ["std JSON", Json.std],
    ["YAML", Yaml.codec],
    ["XML", Xml.codec],
    ["MessagePack", Msgpack.codec]
  ] as const) {
    it(name, () => {
      for (let seed = 0; seed < 150; seed++) {
        const accept = told(name)
        const value = canonical(
          WideSchema,
          message(WideSchema, random(seed), (field) => accept(field) && (name !== "std JSON" || finite(field)))
        )
        const back = read(codec, WideSchema, write(codec, WideSchema, value))
        assert.deepStrictEqual(toBinary(WideSchema, sorted(back)), toBinary(WideSchema, sorted(value)), `seed ${seed}`)
      }
    })
  }

  it("one field alone", () => {
    const value = create(TagsRequestSchema, { id: "kept", tags: ["a", "b"] })
    for (const codec of [Json.std, Yaml.codec, Msgpack.codec]) {
      const target = create(TagsRequestSchema, { id: "kept", tags: ["gone"] })
      const written = Result.getOrThrow(codec.field!.encode(TagsRequestSchema.field.tags, value))
      Result.getOrThrow(codec.field!.decode(TagsRequestSchema.field.tags, target, written))
      assert.isTrue(equals(TagsRequestSchema, target, value), codec.name)
    }
    assert.strictEqual(text(Result.getOrThrow(Json.std.field!.encode(TagsRequestSchema.field.tags, value))), '["a","b"]')
  })
})

describe("names and forms of input", () => {
  const user = create(UserRequestSchema, { userId: "u", postId: 5n })
  const names = [
    ["UserId", "PostId"],
    ["userid", "postid"],
    ["user_id", "post_id"],
    ["userId", "postId"]
  ] as const
  for (const [id, post] of names) {
    it(`${id}, ${post}`, () => {
      const same = (codec: Codec.Codec, input: Uint8Array) => assert.deepStrictEqual(read(codec, UserRequestSchema, input), user)
      same(
        Xml.codec,
        bytes(
          `<?xml version="1.0"?><any a="b"><${id}>u</${id}><!-- c --><x:${post} xmlns:x="y"> 5 </x:${post}><other><more/></other></any>`
        )
      )
      same(Yaml.codec, bytes(`${id}: u\n${post}: "5"\nother: [1, {a: b}]\n`))
      same(
        Msgpack.codec,
        Buffer.concat([
          Buffer.of(0x83, 0xa0 | id.length),
          bytes(id),
          Buffer.from("a175", "hex"),
          Buffer.of(0xa0 | post.length),
          bytes(post),
          Buffer.from("05a17890", "hex")
        ])
      )
    })
  }

  it("reads what protobuf-JSON would say", () => {
    const value = read(
      Yaml.codec,
      WideSchema,
      bytes(
        [
          "color: COLOR_RED",
          "timestamp: 2026-01-02T03:04:05Z",
          "duration: 1.5s",
          "wrappedInt64: 7",
          "bytesValue: AQI=",
          "choiceText: yes",
          "boolValue: yes",
          "mask: aB,c",
          "int32Value: 0x1F",
          "doubleValue: .inf",
          "struct: {a: [1, true, null, x]}",
          "value: {b: 1}"
        ].join("\n")
      )
    )
    const expected = fromJson(WideSchema, {
      color: "COLOR_RED",
      timestamp: "2026-01-02T03:04:05Z",
      duration: "1.5s",
      wrappedInt64: "7",
      bytesValue: "AQI=",
      choiceText: "yes",
      boolValue: true,
      mask: "aB,c",
      int32Value: 31,
      doubleValue: "Infinity",
      struct: { a: [1, true, null, "x"] },
      value: { b: 1 }
    })
    assert.isTrue(equals(WideSchema, value as never, expected))
  })
})

describe("what Go's standard JSON refuses", () => {
  const outcomes: ReadonlyArray<readonly [input: string, error: string | undefined]> = [
    ['{"INT32_value":5,"stringValue":"another name"}', undefined],
    ['{"int64_value":"5"}', "int64_value: expected an integer"],
    ['{"int32_value":1.0}', "int32_value: expected an integer"],
    ['{"int32_value":2147483648}', "int32_value: expected int32"],
    ['{"uint64_value":18446744073709551616}', "uint64_value: expected uint64"],
    ['{"color":"COLOR_RED"}', "color: expected an integer"],
    ['{"timestamp":"2026-01-01T00:00:00Z"}', "timestamp: expected an object"],
    ['{"wrapped_string":"x"}', "wrapped_string: expected an object"],
    ['{"bytes_value":"_-8="}', "bytes_value: expected base64"],
    ['{"by_number":{"x":"y"}}', "by_number: expected int32"],
    ['{"float_value":1e39}', "float_value: expected float"],
    ['{"nested":{"child":{"number":true}}}', "nested.child.number: expected an integer"],
    ['{"int32_value":null,"labels":null,"nested":null}', undefined],
    ['{"int32_value":1,"INT32_VALUE":2}', "INT32_VALUE: it is there twice"],
    ['{"a":1,"a":2}', "a key is there twice"],
    ["null", undefined],
    ["", undefined],
    ["[]", "expected an object"],
    ["{", "expected a key at 1"],
    ['{"a":}', "expected a value at 5"],
    ['{"a":01}', "expected a comma or } at 7"],
    ['{"a":1}x', "expected the end at 7"],
    ['{"a":"\u0001"}', "expected the rest of a string at 6"],
    ['{"unknown":1e999}', undefined],
    ['{"double_value":1e999}', "double_value: expected double"],
    ['{"uint32_value":-0}', "uint32_value: expected an unsigned integer"],
    ['{"int32_value":-0,"maybe_bytes":[1,null]}', undefined],
    [`{"string_value":${"1".repeat(50)}}`, "string_value: expected a string"],
    [`{"x":${"[".repeat(200)}`, "nested deeper than 100"],
    [`${'{"nested":{"child":'.repeat(40)}1`, "expected"]
  ]
  for (const [input, error] of outcomes) {
    it(input.slice(0, 60), () => {
      const result = Json.std.decode(WideSchema, bytes(input))
      if (error === undefined) assert.isTrue(Result.isSuccess(result), JSON.stringify(Result.isFailure(result) && result.failure.message))
      else {
        const { code, message, reason } = Result.getOrThrow(Result.flip(result))
        assert.deepStrictEqual([code, reason], [400, "CODEC"])
        assert.include(message, error)
      }
    })
  }
})

describe("hostile input", () => {
  const refused = (codec: Codec.Codec, schema: DescMessage, input: Uint8Array, message: string, code = 400) => {
    const error = Result.getOrThrow(Result.flip(codec.decode(schema, input)))
    assert.deepStrictEqual([error.code, error.reason], [code, "CODEC"])
    assert.include(error.message, message)
    assert.isBelow(error.message.length, 250)
  }

  it("XML: no document types, no entities, no depth without end", () => {
    const doctype = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d SYSTEM "file:///etc/passwd">]>'
    refused(Xml.codec, UserRequestSchema, bytes(`${doctype}<a><UserId>&d;</UserId></a>`), "no document type")
    for (const reference of ["&b;", "&#0;", "&#xD800;", "&#x110000;", "&lt", "&;"])
      refused(Xml.codec, UserRequestSchema, bytes(`<a><UserId>${reference}</UserId></a>`), "a reference to a character")
    refused(Xml.codec, Wide_NestedSchema, bytes("<Child>".repeat(5_000)), "nested deeper")
    for (const input of [
      "",
      "x",
      "<a>",
      "<a></b>",
      "<a/><b/>",
      "<a>x</a>y",
      "<a",
      "<a b=c></a>",
      "<![CDATA[x]]>",
      "<a><![CDATA[x</a>",
      "<a>\u00ff</a",
      "</a>",
      "<1/>"
    ])
      refused(Xml.codec, UserRequestSchema, bytes(input), "expected")
    refused(Xml.codec, UserRequestSchema, Uint8Array.of(0x3c, 0x61, 0xff), "UTF-8")
    refused(Xml.codec, UserRequestSchema, bytes("<a><PostId>1</PostId><PostId>2</PostId></a>"), "PostId: expected an integer")
    assert.strictEqual(
      (read(Xml.codec, UserRequestSchema, bytes("<a><UserId>&lt;&#65;&#x42;<![CDATA[<&]]></UserId></a>")) as never as { userId: string })
        .userId,
      "<AB<&"
    )
  })

  it("XML refuses bytes that are not text rather than to spoil them", () => {
    assert.strictEqual(
      Result.getOrThrow(Result.flip(Xml.codec.encode(WideSchema, create(WideSchema, { bytesValue: Uint8Array.of(0, 255) })))).code,
      500
    )
  })

  it("YAML: aliases, depth and size have limits, keys are there once", () => {
    let bomb = "values:\n  k: &a [x, x, x, x, x, x, x, x, x]\n"
    for (const [name, before] of ["ba", "cb", "dc", "ed", "fe", "gf", "hg"])
      bomb += `  ${name}: &${name} [${Array(9).fill(`*${before}`).join(", ")}]\n`
    refused(Yaml.codec, WideSchema, bytes(bomb), "more values than the input has room for")
    refused(Yaml.codec, WideSchema, bytes(`a: &a x\nb: [${"*a, ".repeat(101)}]`), "alias")
    refused(Yaml.codec, WideSchema, bytes(`value: ${"[".repeat(5_000)}`), "maxDepth")
    refused(Yaml.codec, WideSchema, bytes("stringvalue: a\nstringvalue: b"), "duplicat")
    refused(Yaml.codec, WideSchema, bytes("stringvalue: a\nstringValue: b"), "it is there twice")
    refused(Yaml.codec, WideSchema, bytes("stringvalue: !!js/function x"), "unknown")
    refused(Yaml.codec, WideSchema, bytes("a: 1\n---\nb: 2"), "")
    refused(Yaml.make({ maxBytes: 10 }), WideSchema, bytes("stringvalue: a"), "10 bytes", 413)
    refused(Yaml.codec, Wide_NestedSchema, bytes(`&a {child: *a}`), "")
    assert.strictEqual(
      Object.getPrototypeOf(read(Yaml.codec, WideSchema, bytes("__proto__: {color: 1}"))),
      Object.getPrototypeOf(create(WideSchema))
    )
  })

  it("MessagePack: lengths are only claims", () => {
    const input = (hex: string) => Buffer.from(hex, "hex")
    for (const hex of [
      "",
      "81",
      "ddffffffff",
      "dfffffffff",
      "dbffffffff41",
      "c6ffffffff",
      "c9ffffffff01",
      "cb00",
      "c1",
      "c0c0",
      "81c0c0",
      "8181a161c0c0"
    ])
      refused(Msgpack.codec, UserRequestSchema, input(hex), "expected")
    refused(Msgpack.codec, UserRequestSchema, Buffer.concat([input("81a178"), Buffer.alloc(500, 0x91)]), "nested deeper")
    refused(Msgpack.codec, UserRequestSchema, input("81a6557365724964a1ff"), "UTF-8")
    refused(Msgpack.codec, UserRequestSchema, input("81a6506f73744964cfffffffffffffffff"), "int64")
    assert.deepStrictEqual(
      read(Msgpack.codec, UserRequestSchema, input("82a178d40100a6506f73744964cb4014000000000000")),
      create(UserRequestSchema, { postId: 5n })
    )
  })

  it("an enum may have a value that nobody declared", () => {
    assert.strictEqual((read(Yaml.codec, WideSchema, bytes("color: 77")) as never as { color: number }).color, 77)
    assert.strictEqual((read(Yaml.codec, WideSchema, bytes("color: COLOR_RED")) as never as { color: number }).color, 1)
  })

  it("each field is read by what it is", () => {
    for (const [yaml, message] of [
      ["int32value: 1.5", "int32value: expected int32"],
      ["uint32value: -1", "uint32value: expected uint32"],
      ["nested: 5", "nested: expected a message"],
      ["nested: {name: [x]}", "nested.name: expected a string"],
      ["strings: x", "strings: expected a list"],
      ["labels: [x]", "labels: expected a map"],
      ["bytesvalue: [256]", "bytesvalue: expected bytes"],
      ["color: COLOR_BLUE", "color: expected a value of test.v1.Color"],
      ["choiceText: x\nchoice: {choicenumber: 1}", "another member of choice is set"],
      ["timestamp: soon", "timestamp: expected a time in RFC 3339"]
    ] as const)
      refused(Yaml.codec, WideSchema, bytes(yaml), message)
  })
})
