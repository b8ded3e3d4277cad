/** What protobuf-JSON takes and what it refuses, where readers of JSON differ; Go's protojson is the judge (see `kratos.integration.test.ts`). */
import { create, equals, fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Form from "../../src/codec/Form.ts"
import * as Json from "../../src/codec/Json.ts"
import * as Msgpack from "../../src/codec/Msgpack.ts"
import * as Proto from "../../src/codec/Proto.ts"
import * as Xml from "../../src/codec/Xml.ts"
import * as Yaml from "../../src/codec/Yaml.ts"
import { message, random } from "./randomMessage.ts"
import * as mutate from "./mutate.ts"
import { Color, FlatSchema, Wide_NestedSchema, WideSchema } from "../gen/test/v1/rest_pb.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const read = (input: string | Uint8Array) => Json.json.decode(WideSchema, typeof input === "string" ? bytes(input) : input)

const accepts = (input: string, init: MessageInitShape<typeof WideSchema>): void =>
  assert.isTrue(equals(WideSchema, Result.getOrThrow(read(input)), create(WideSchema, init)), input)

const refuses = (input: string | Uint8Array, says: string): void => {
  const error = Result.getOrThrow(Result.flip(read(input)))
  assert.deepStrictEqual([error.code, error.reason], [400, "CODEC"])
  assert.include(error.message, says)
  assert.isBelow(error.message.length, 250)
}

describe("numbers", () => {
  const taken: ReadonlyArray<readonly [input: string, init: MessageInitShape<typeof WideSchema>]> = [
    // what a double would round
    ['{"int64Value":9007199254740993}', { int64Value: 9_007_199_254_740_993n }],
    ['{"int64Value":9223372036854775807}', { int64Value: 9_223_372_036_854_775_807n }],
    ['{"int64Value":-9223372036854775808}', { int64Value: -9_223_372_036_854_775_808n }],
    [
      '{"uint64Value":18446744073709551615,"longs":[9007199254740993]}',
      { uint64Value: 18_446_744_073_709_551_615n, longs: [9_007_199_254_740_993n] }
    ],
    ['{"wrappedInt64":9007199254740993}', { wrappedInt64: 9_007_199_254_740_993n }],
    // integers in other words
    [
      '{"int32Value":1.0,"int64Value":"1e2","uint32Value":100e-2,"sint64Value":1.50e1}',
      { int32Value: 1, int64Value: 100n, uint32Value: 1, sint64Value: 15n }
    ],
    ['{"int32Value":-0,"uint32Value":-0,"int64Value":-0,"uint64Value":"-0"}', {}],
    ['{"int64Value":0e999999999}', {}],
    ['{"doubleValue":"1.5","floatValue":"-Infinity"}', { doubleValue: 1.5, floatValue: -Infinity }],
    ['{"doubleValue":1e-400}', {}],
    // as it is on the wire
    ['{"floatValue":1.1}', { floatValue: Math.fround(1.1) }],
    ['{"color":77,"colors":[-1]}', { color: 77 as Color, colors: [-1 as Color] }],
    ['{"color":"COLOR_PINK","colors":["COLOR_RED","COLOR_PINK"]}', { colors: [Color.RED] }],
    ['{"byNumber":{"-5":"a","+7":"b","08":"c"}}', { byNumber: { "-5": "a", "7": "b", "8": "c" } }]
  ]
  for (const [input, init] of taken) it(input, () => accepts(input, init))

  const refused: ReadonlyArray<readonly [input: string, says: string]> = [
    ['{"int64Value":9223372036854775808}', "int64_value: expected an integer of 64 bits"],
    ['{"uint64Value":18446744073709551616}', "uint64_value"],
    ['{"uint64Value":-1}', "uint64_value"],
    ['{"int32Value":1.5}', "int32_value"],
    ['{"int32Value":1e-1}', "int32_value"],
    ['{"int32Value":1e999999999}', "int32_value"],
    [`{"int64Value":${"9".repeat(100_000)}}`, "int64_value"],
    [`{"int64Value":0.${"0".repeat(100_000)}1}`, "int64_value"],
    ['{"int32Value":" 1"}', "int32_value"],
    ['{"int32Value":""}', "int32_value"],
    ['{"int32Value":"+1"}', "int32_value"],
    ['{"int32Value":"0x10"}', "int32_value"],
    ['{"int32Value":true}', "int32_value"],
    ['{"int32Value":01}', "the end of a number"],
    ['{"int32Value":1.}', "the end of a number"],
    ['{"int32Value":+1}', "int32_value"],
    ['{"doubleValue":1e400}', "double_value"],
    ['{"doubleValue":NaN}', "double_value"],
    ['{"doubleValue":"nan"}', "double_value"],
    ['{"floatValue":3.5e38}', "float_value"],
    ['{"struct":{"a":1e400}}', "struct"],
    ['{"byNumber":{"1.0":"a"}}', "by_number"],
    ['{"byNumber":{"2147483648":"a"}}', "by_number"],
    ['{"byNumber":{"1":"a","01":"b"}}', "by_number: a key is there twice"],
    ['{"byFlag":{"1":1}}', "by_flag"],
    ['{"color":1.5}', "color"],
    ['{"color":2147483648}', "color"]
  ]
  for (const [input, says] of refused) it(input.slice(0, 80), () => refuses(input, says))
})

describe("text", () => {
  it("holds no halves of characters, whether in values, keys or what nobody reads", () => {
    accepts('{"far":"\\ud83d\\ude00\\u0000\\\\ud800\\/"}', { far: "😀\u0000\\ud800/" })
    for (const half of ["\\ud800", "\\udc00", "\\ud800\\ud800", "a\\udbffb", "\\ude00\\ud83d"]) {
      refuses(`{"far":"${half}"}`, "half a character")
      refuses(`{"unknown":{"${half}":1}}`, "half a character")
      refuses(`{"labels":{"${half}":"a"}}`, "half a character")
    }
  })

  it("is UTF-8, without control characters and unknown escapes", () => {
    refuses(Uint8Array.of(0x7b, 0x22, 0xc0, 0x80, 0x22, 0x7d), "UTF-8")
    refuses(Uint8Array.of(...bytes('{"far":"'), 0xed, 0xa0, 0x80, 0x22, 0x7d), "UTF-8")
    for (const text of ["\u0000", "\n", "\u001f"]) refuses(`{"far":"${text}"}`, "the rest of a string")
    for (const text of ["\\x", "\\u12", "\\", "\\u{1}"]) refuses(`{"far":"${text}"}`, "expected")
    accepts('{"far":"\u007f\u2028"}', { far: "\u007f\u2028" })
  })

  it("has a byte order mark at most before it", () => {
    accepts('\ufeff{"far":"a"}', { far: "a" })
    refuses('{\ufeff"far":"a"}', "a key")
  })
})

describe("documents", () => {
  const nested = (levels: number): string => `${'{"child":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`
  const list = (levels: number): string => "[".repeat(levels) + "]".repeat(levels)

  it("end at 100 levels, also in what nobody reads", () => {
    accepts(`{"nested":${nested(99)}}`, {
      nested: fromJson(Wide_NestedSchema, JSON.parse(nested(99)) as JsonValue, { recursionLimit: 1_000 })
    })
    for (const levels of [100, 50_000]) {
      refuses(`{"nested":${nested(levels)}}`, "nested deeper than 100")
      refuses(`{"value":${list(levels)}}`, "nested deeper than 100")
      refuses(`{"struct":{"a":${list(levels)}}}`, "nested deeper than 100")
      refuses(`{"unknown":${list(levels)}}`, "nested deeper than 100")
      refuses(`{"unknown":${"[".repeat(levels)}`, levels === 100 ? "deeper" : "nested deeper than 100")
    }
    assert.isTrue(Result.isSuccess(read(`{"unknown":${list(99)},"value":${list(99)}}`)))
  })

  it("have each field and key once", () => {
    refuses('{"far":"a","far":"b"}', "far: it is there twice")
    refuses('{"far":null,"f\\u0061r":"b"}', "far: it is there twice")
    refuses('{"int32_value":1,"int32Value":2}', "int32_value: it is there twice")
    refuses('{"labels":{"a":"b","a":"b"}}', "labels: a key is there twice")
    refuses('{"struct":{"a":1,"a":1}}', "struct: a key is there twice")
    refuses('{"value":{"a":{"b":1,"b":1}}}', "value: a key is there twice")
    refuses('{"choiceText":"a","choiceNumber":1}', "another member of choice is set")
    refuses('{"any":{"@type":"a/google.protobuf.Empty","@type":"a/google.protobuf.Empty"}}', "any: @type: it is there twice")
    accepts('{"unknown":1,"unknown":2}', {})
    accepts('{"choiceText":null,"choiceNumber":1}', { choice: { case: "choiceNumber", value: 1n } })
  })

  it("end where they end", () => {
    for (const rest of ["x", "{}", ",", "]", "\u0000", '"', "//"]) refuses(`{"far":"a"}${rest}`, "the end")
    for (const text of [
      "",
      " ",
      "{",
      '{"far"',
      '{"far":',
      '{"far":"a"',
      '{"far":"a",',
      '{"strings":["a"',
      '{"strings":["a",]}',
      '{"far":"a",}',
      "{,}",
      '{"a" "b"}'
    ])
      refuses(text, "expected")
    accepts(' \t\r\n{ "far" :\n"a" , "strings" : [ "b" , "c" ] } \n', { far: "a", strings: ["b", "c"] })
  })

  it("set no prototype", () => {
    const value = Result.getOrThrow(
      read('{"__proto__":{"far":"x"},"labels":{"__proto__":"a"},"struct":{"__proto__":{"b":1}},"value":{"__proto__":1}}')
    )
    assert.strictEqual(value.far, "")
    assert.deepStrictEqual([Object.keys(value.labels), Object.keys(value.struct!)], [["__proto__"], ["__proto__"]])
    assert.strictEqual(Object.getPrototypeOf(value.labels), Object.prototype)
    assert.strictEqual(Object.getPrototypeOf(value.struct), Object.prototype)
  })

  it("name the field that does not fit, and nothing of what is in it", () => {
    refuses('{"nested":{"child":{"child":{"child":{"child":{"child":{"number":"secret"}}}}}}}', "nested.child.child.child.child: expected")
    const error = Result.getOrThrow(Result.flip(read('{"int32Value":"secret","far":"x"}')))
    assert.notInclude(error.message, "secret")
  })
})

describe("any bytes", () => {
  for (const codec of [Json.json, Json.std, Form.codec, Proto.codec, Xml.codec, Yaml.codec, Msgpack.codec]) {
    it(`are a message or 400, and never anything else: ${codec.contentType}${codec === Json.std ? ", std" : ""}`, () => {
      let read = 0
      for (let seed = 0; seed < 300; seed++) {
        const source = random(seed, { wild: true })
        const written = codec.encode(FlatSchema, message(FlatSchema, source) as never)
        if (Result.isFailure(written)) continue
        const result = codec.decode(FlatSchema, mutate.bytes(written.success, source))
        if (Result.isFailure(result)) assert.deepStrictEqual([result.failure.code, result.failure.reason], [400, "CODEC"])
        else if (codec !== Json.std) {
          read++
          assert.isTrue(Result.isSuccess(Proto.codec.encode(FlatSchema, result.success)), `seed ${seed}`)
        } else read++
      }
      assert.isAbove(read, 3)
    })
  }
})
