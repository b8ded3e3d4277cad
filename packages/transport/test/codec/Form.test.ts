import { create, fromJson, toJsonString, type DescField, type JsonValue } from "@bufbuild/protobuf"
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Form from "../../src/codec/Form.ts"
import * as FormWriter from "../../src/codec/FormWriter.ts"
import * as TimeText from "../../src/codec/TimeText.ts"
import { Wide_NestedSchema, WideSchema } from "../gen/test/v1/rest_pb.ts"
import { message, random } from "./randomMessage.ts"

const write = FormWriter.make()(WideSchema)
const wide = (json: JsonValue) => fromJson(WideSchema, json)

/** Fields whose emptiness a form can say: all but messages and texts that are there and hold nothing. */
const representable = (field: DescField): boolean =>
  !["google.protobuf.Any", "google.protobuf.Empty"].includes(field.message?.typeName ?? "")

describe("Form", () => {
  it("reads what it writes", () => {
    for (let seed = 0; seed < 400; seed++) {
      const value = message(WideSchema, random(seed), representable)
      const bytes = Form.codec.encode(WideSchema, value as never)
      if (Result.isFailure(bytes)) {
        // the one thing that a key cannot say
        assert.match(String(bytes.failure.cause), /bracket/)
        continue
      }
      const back = Result.getOrThrow(Form.codec.decode(WideSchema, bytes.success))
      assert.strictEqual(
        normal(toJsonString(WideSchema, back)),
        normal(toJsonString(WideSchema, value as never)),
        `seed ${seed}: ${new TextDecoder().decode(bytes.success)}`
      )
    }
  })

  // Kratos' own form, key by key
  const rows: ReadonlyArray<readonly [json: JsonValue, text: string]> = [
    [{}, ""],
    [{ boolValue: true }, "boolValue=true"],
    [{ int32Value: -5, int64Value: "9223372036854775807", uint32Value: 7 }, "int32Value=-5&int64Value=9223372036854775807&uint32Value=7"],
    [{ doubleValue: 11.23, floatValue: 0.5 }, "doubleValue=11.23&floatValue=0.5"],
    [{ doubleValue: 1e6, floatValue: 11.23 }, "doubleValue=1e%2B06&floatValue=11.23"],
    [{ doubleValue: 999_999.5, floatValue: 1e-5 }, "doubleValue=999999.5&floatValue=1e-05"],
    [{ doubleValue: 1.7e-300, floatValue: -1234567.5 }, "doubleValue=1.7e-300&floatValue=-1.2345675e%2B06"],
    [{ doubleValue: "Infinity", floatValue: "NaN" }, "doubleValue=%2BInf&floatValue=NaN"],
    [{ stringValue: "a b&c=d/ü" }, "stringValue=a+b%26c%3Dd%2F%C3%BC"],
    [{ stringValue: "!'()*~-_." }, "stringValue=%21%27%28%29%2A~-_."],
    [{ bytesValue: "/+8=" }, "bytesValue=_-8%3D"],
    [{ wrappedBytes: "/+8=" }, "wrappedBytes=%2F%2B8%3D"],
    [{ color: "COLOR_RED", size: "SIZE_LARGE" }, "color=COLOR_RED&size=SIZE_LARGE"],
    [{ color: 9 }, "color=9"],
    [{ "other-name": "x" }, "other-name=x"],
    [{ nested: { name: "n", child: { number: "3" } } }, "nested.child.number=3&nested.name=n"],
    [{ strings: ["b", "a"], ints: [2, 1] }, "ints=2&ints=1&strings=b&strings=a"],
    [{ labels: { b: "2", a: "1" } }, "labels%5Ba%5D=1&labels%5Bb%5D=2"],
    [{ nesteds: [{ name: "a" }, { name: "b" }] }, "nesteds%5B0%5D.name=a&nesteds%5B1%5D.name=b"],
    [{ byLong: { "5": { name: "x" } } }, "byLong%5B5%5D.name=x"],
    [{ choiceText: "c" }, "choiceText=c"],
    [{ choiceNumber: "0" }, "choiceNumber=0"],
    [{ maybeNumber: 0, maybeFlag: false }, "maybeFlag=false&maybeNumber=0"],
    [{ timestamp: "2024-01-02T03:04:05Z" }, "timestamp=2024-01-02T03%3A04%3A05Z"],
    [{ timestamp: "2024-01-02T03:04:05.120+02:00" }, "timestamp=2024-01-02T01%3A04%3A05.120Z"],
    [{ duration: "120.000000022s" }, "duration=2m0.000000022s"],
    [{ mask: "a,bC.d" }, "mask=a%2CbC.d"],
    [{ wrappedBool: false, wrappedInt64: "0", wrappedString: "" }, "wrappedBool=false&wrappedInt64=0&wrappedString="],
    [{ struct: { a: [1, null] } }, "struct=%7B%22a%22%3A%5B1%2Cnull%5D%7D"],
    [{ value: "text" }, "value=text"],
    [{ value: 5 }, "value.numberValue=5"]
  ]
  for (const [json, text] of rows) {
    it(`writes ${JSON.stringify(json)}`, () => assert.strictEqual(write(wide(json)), text))
  }

  it("passes over inputs that nobody filled in", () => {
    const read = (text: string) => Form.codec.decode(WideSchema, new TextEncoder().encode(text))
    assert.deepStrictEqual(
      Result.getOrThrow(read("nested=&far=&timestamp=&int32Value=&wrappedBool=&struct=&choiceNested=&maybeText=")),
      wide({})
    )
    assert.include(Result.getOrThrow(Result.flip(read("nested=x"))).message, "nested")
    assert.include(Result.getOrThrow(Result.flip(read("nested=&nested="))).message, "several values")
  })

  it("leaves out what it is told to", () => {
    assert.strictEqual(write(wide({ far: "x", nested: { name: "n" } }), new Set(["nested"])), "far=x")
  })

  it("keeps paths of a mask that camel case would lose", () => {
    for (const path of ["a_1", "a__b", "_a", "plain", "two_words"]) {
      const value = create(WideSchema, { mask: { paths: [path] } })
      const back = Result.getOrThrow(Form.codec.decode(WideSchema, Result.getOrThrow(Form.codec.encode(WideSchema, value))))
      assert.deepStrictEqual(back.mask?.paths, [path])
    }
    assert.strictEqual(write(create(WideSchema, { mask: { paths: ["two_words", "a_1"] } })), "mask=twoWords%2Ca_1")
  })

  it("ends at 100 levels, in both directions", () => {
    const chain = (levels: number) => {
      let nested = create(Wide_NestedSchema, { name: "end" })
      for (let level = 1; level < levels; level++) nested = create(Wide_NestedSchema, { child: nested })
      return Form.codec.encode(WideSchema, create(WideSchema, { nested }))
    }
    assert.strictEqual(Result.getOrThrow(Result.flip(chain(100))).code, 500)
    assert.isTrue(Result.isSuccess(Form.codec.decode(WideSchema, Result.getOrThrow(chain(99)))))
  })

  it("refuses messages that hold themselves", () => {
    const nested = create(Wide_NestedSchema, { name: "n" })
    nested.child = nested
    assert.isTrue(Result.isFailure(Form.codec.encode(WideSchema, create(WideSchema, { nested }))))
    assert.isTrue(Result.isSuccess(Form.codec.encode(WideSchema, create(WideSchema, { far: "after" }))))
  })
})

describe("TimeText", () => {
  const durations: ReadonlyArray<readonly [seconds: bigint, nanos: number, text: string]> = [
    [0n, 0, "0s"],
    [0n, 22, "22ns"],
    [0n, 1_500, "1.5µs"],
    [0n, 100_000_000, "100ms"],
    [1n, 500_000_000, "1.5s"],
    [100n, 0, "1m40s"],
    [3600n, 0, "1h0m0s"],
    [9_000n, 1_000_000, "2h30m0.001s"],
    [-1n, -500_000_000, "-1.5s"],
    [0n, -250_000, "-250µs"],
    [315_576_000_000n, 0, "315576000000s"]
  ]
  for (const [seconds, nanos, text] of durations) {
    it(`writes and reads ${text}`, () => {
      assert.strictEqual(TimeText.formatDuration(create(DurationSchema, { seconds, nanos })), text)
      assert.deepStrictEqual(TimeText.parseDuration(text), create(DurationSchema, { seconds, nanos }))
    })
  }

  it("is in UTC, whatever the machine's zone", () => {
    const zone = process.env["TZ"]
    process.env["TZ"] = "Asia/Shanghai"
    try {
      assert.strictEqual(new Date(0).getHours(), 8)
      assert.strictEqual(TimeText.formatTimestamp(create(TimestampSchema, { seconds: 0n })), "1970-01-01T00:00:00Z")
      assert.strictEqual(TimeText.parseTimestamp("1970-01-01T08:00:00+08:00").seconds, 0n)
    } finally {
      if (zone === undefined) delete process.env["TZ"]
      else process.env["TZ"] = zone
    }
  })

  it("refuses times that a timestamp cannot hold", () => {
    for (const [seconds, nanos] of [
      [253_402_300_800n, 0],
      [-62_135_596_801n, 0],
      [0n, -1],
      [0n, 1_000_000_000]
    ] as const) {
      assert.throws(() => TimeText.formatTimestamp(create(TimestampSchema, { seconds, nanos })))
    }
  })
})

/** -0 becomes 0 in protobuf-JSON, and messages that hold nothing are not there in a form. */
const normal = (json: string): string => {
  const strip = (value: JsonValue, inStruct: boolean): JsonValue | undefined => {
    if (Array.isArray(value)) return value.map((item) => strip(item, inStruct) ?? {})
    if (typeof value !== "object" || value === null) return value
    const entries = Object.entries(value).flatMap(([key, item]) => {
      const free = inStruct || ["struct", "value", "list", "values"].includes(key)
      const kept = strip(item, free)
      return kept === undefined && !free ? [] : [[key, kept ?? {}] as const]
    })
    return entries.length === 0 ? undefined : Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }
  return JSON.stringify(strip(JSON.parse(json) as JsonValue, false) ?? {})
}
