/**
 * Our codecs beside those of Kratos v2 and v3, which run in a program of Go: random messages both ways, inputs that are nearly right, and the list of what we
 * do otherwise on purpose. `CODEC_SEEDS=10000` makes each part as long.
 */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Json from "../../src/codec/Json.ts"
import * as Form from "../../src/codec/Form.ts"
import { Color, WideSchema } from "../gen/test/v1/rest_pb.ts"
import * as Differential from "./Differential.ts"
import * as GoPeer from "./GoPeer.ts"
import * as mutate from "./mutate.ts"
import { message, random } from "./randomMessage.ts"

const folder = GoPeer.folder()
if (folder === undefined) process.stderr.write("SKIPPED: codecs against Kratos (needs Go and its module proxy)\n")

const seeds = Number(process.env["CODEC_SEEDS"] ?? 200)
const timeout = 30_000 + seeds * 50

const pairOf = (name: string): Differential.Pair => Differential.pairs.find((pair) => pair.name === name)!

describe.skipIf(folder === undefined)("Kratos", () => {
  let peer: GoPeer.GoPeer
  beforeAll(() => {
    peer = GoPeer.start(folder!)
  })
  afterAll(() => peer.close())

  /** No seed may disagree; the first of each kind is told. */
  const agree = async (of: (seed: number) => Promise<ReadonlyArray<Differential.Disagreement>>): Promise<void> => {
    const told = new Map<string, string>()
    // some at once, so that neither side waits for the other
    for (let from = 0; from < seeds; from += 50) {
      const some = Array.from({ length: Math.min(50, seeds - from) }, async (_, index) => [from + index, await of(from + index)] as const)
      for (const [seed, found] of await Promise.all(some))
        for (const { detail, what } of found) if (!told.has(what)) told.set(what, `seed ${seed}: ${detail}`)
    }
    assert.deepStrictEqual(Object.fromEntries(told), {})
  }

  for (const pair of Differential.pairs) {
    it(`messages as ${pair.name}`, { timeout }, () => agree((seed) => Differential.compare(pair, peer, seed)))
  }

  for (const name of ["JSON, v2", "JSON, v3", "standard JSON, v3"]) {
    const pair = pairOf(name)
    const isStandard = name.startsWith("standard")
    it(`documents that are nearly right: ${name}`, { timeout }, () =>
      agree((seed) => {
        const text = mutate.json(WideSchema, random(seed), !isStandard)
        // what Go reads otherwise on purpose of ours has its own test below
        if (isStandard && /\\ud800|by_?flag|values|"(?:value|any)"/i.test(text)) return Promise.resolve([])
        return Differential.read(pair, peer, new TextEncoder().encode(text))
      })
    )
  }

  for (const name of ["JSON, v2", "JSON, v3", "standard JSON, v3"]) {
    const pair = pairOf(name)
    it(`bytes out of place: ${name}`, { timeout }, () =>
      agree((seed) => {
        const source = random(seed, { wild: true })
        const value = message(
          WideSchema,
          source,
          (field) => pair.accept(field) && field.jsonName !== "value" && field.jsonName !== "values"
        )
        const written = pair.ours.encode(WideSchema, value as never)
        if (Result.isFailure(written)) return Promise.resolve([])
        const input = mutate.bytes(written.success, source)
        // the library replaces bytes that are no text, and takes the last of two keys
        const mine = pair.ours.decode(WideSchema, input)
        if (name.startsWith("standard") && Result.isFailure(mine) && /UTF-8|twice/.test(mine.failure.message)) return Promise.resolve([])
        return Differential.read(pair, peer, input)
      })
    )
  }

  for (const name of ["form, v2", "form, v3"]) {
    it(`values of all kinds: ${name}`, { timeout }, () =>
      agree((seed) => Differential.read(pairOf(name), peer, new TextEncoder().encode(mutate.form(WideSchema, random(seed)))))
    )
  }

  /** What a side makes of an input: the names of the fields that are set, or nothing. */
  const outcome = (fields: MessageInitShape<typeof WideSchema> | "refused") => (fields === "refused" ? fields : create(WideSchema, fields))

  const reads = async (codec: GoPeer.Codec, input: string) => {
    const answer = await peer.ask("decode", codec, WideSchema.typeName, new TextEncoder().encode(input))
    return "error" in answer ? (answer.error.startsWith("panic") ? "panics" : "refused") : fromBinary(WideSchema, answer.data)
  }

  type Outcome = MessageInitShape<typeof WideSchema> | "refused"
  const differences: ReadonlyArray<
    readonly [what: string, codec: "v3/form" | "v3/json" | "v3/protojson", input: string, theirs: Outcome | "panics", ours: Outcome]
  > = [
    // forms: Kratos does not read all that it writes
    ["the URL-safe alphabet of base64", "v3/form", "bytes_value=_-8%3D", "refused", { bytesValue: Uint8Array.of(255, 239) }],
    ["base64 without padding", "v3/form", "bytes_value=AQI", "refused", { bytesValue: Uint8Array.of(1, 2) }],
    ["null for the null value", "v3/form", "null_value=null", "refused", {}],
    ["durations that Go cannot hold", "v3/form", "duration=9223372037s", "refused", { duration: { seconds: 9_223_372_037n } }],
    ["null for a time", "v3/form", "timestamp=null", "panics", "refused"],
    ["null for a duration", "v3/form", "duration=null", "panics", "refused"],
    // forms: keys that Kratos has no place for, and we do
    ["a list of messages", "v3/form", "nesteds[0].name=a", "refused", { nesteds: [{ name: "a" }] }],
    ["a map of messages", "v3/form", "by_long[5].name=a", "refused", { byLong: { "5": { name: "a" } } }],
    ["a key of a map with a dot", "v3/form", "labels[a.b]=c", {}, { labels: { "a.b": "c" } }],
    ["a member of a struct in brackets", "v3/form", "struct[a]=b", "refused", { struct: { a: "b" } }],
    // forms: keys that are most likely mistakes are told, not skipped or taken for something else
    ["an index of what is no list", "v3/form", "int32_value[0]=5", { int32Value: 5 }, "refused"],
    ["brackets that do not close", "v3/form", "int32_value[0=5", {}, "refused"],
    ["two indices", "v3/form", "ints[0][1]=5", {}, "refused"],
    ["fields of a scalar", "v3/form", "int32_value.a=5", "refused", "refused"],
    ["one field under two names", "v3/form", "int32_value=5&int32Value=5", { int32Value: 5 }, "refused"],
    // forms: Go's literals, and a time before the first year
    ["a hexadecimal number", "v3/form", "double_value=0x1p4", { doubleValue: 16 }, "refused"],
    ["the year 0", "v3/form", "timestamp=0000-01-01T00:00:00Z", { timestamp: { seconds: -62_167_219_200n } }, "refused"],
    // what leads nowhere leaves nothing behind
    ["a field of a message that it has not", "v3/form", "nested.unknown=1", { nested: {} }, {}],
    // standard JSON: two readers may take two keys differently
    ["a key twice", "v3/json", '{"int32_value":1,"int32_value":2}', { int32Value: 2 }, "refused"],
    ["a key in two cases", "v3/json", '{"int32_value":1,"INT32_VALUE":2}', { int32Value: 2 }, "refused"],
    ["a oneof", "v3/json", '{"Choice":{"ChoiceText":"a"}}', "refused", { choice: { case: "choiceText", value: "a" } }],
    // protobuf-JSON: nothing is no document
    ["nothing", "v3/protojson", "", {}, "refused"],
    // ours ends at 100 levels, Go's at 10,000
    ["depth", "v3/protojson", `{"unknown":${"[".repeat(200)}${"]".repeat(200)}}`, {}, "refused"]
  ]
  const alike: ReadonlyArray<readonly [input: string, outcome: Outcome]> = [
    ["string_value=a&int64Value=-5&maybe_flag=T", { stringValue: "a", int64Value: -5n, maybeFlag: true }],
    ["other-name=a&unknown=b&nested.unknown.name=c&nested.name=d", { renamed: "a", nested: { name: "d" } }],
    ["nested.child.child.name=a&nested.tags[]=b&nested.tags[]=c", { nested: { tags: ["b", "c"], child: { child: { name: "a" } } } }],
    ["ints=1&ints=2&colors[]=COLOR_RED", { ints: [1, 2], colors: [Color.RED] }],
    ["colors[3]=2", { colors: [Color.GREEN] }],
    [
      "labels[a]=1&labels.b=2&labels[a b]=3&by_number[-1]=x&by_flag.true=1",
      { labels: { a: "1", b: "2", "a b": "3" }, byNumber: { "-1": "x" }, byFlag: { true: 1 } }
    ],
    ["labels[a]=1&labels[a]=2", { labels: { a: "2" } }],
    ["string_value=a&string_value=b", "refused"],
    ["choice_text=a&choice_number=1", "refused"],
    ["choice_text=a&choice_text=b", "refused"],
    ["color=COLOR_PINK", "refused"],
    ["color=9", "refused"],
    ["int32_value=2147483648", "refused"],
    ["int32_value=1.0", "refused"],
    ["uint32_value=-1", "refused"],
    ["bool_value=yes", "refused"],
    ["by_number[a]=b", "refused"],
    ["nested=a", "refused"],
    ["any=a", "refused"],
    ["bytes_value=%2F%2B8%3D&wrapped_bytes=_-8%3D", { bytesValue: Uint8Array.of(255, 239), wrappedBytes: Uint8Array.of(255, 239) }],
    [
      "timestamp=2024-01-02T03:04:05.5%2B02:00&duration=1h2m3.5s",
      { timestamp: { seconds: 1_704_157_445n, nanos: 500_000_000 }, duration: { seconds: 3723n, nanos: 500_000_000 } }
    ],
    ["mask=userId,a.bC", { mask: { paths: ["user_id", "a.b_c"] } }],
    [
      "wrapped_int64=5&wrapped_bool=0&wrapped_string=a&wrapped_double=1e3",
      { wrappedInt64: 5n, wrappedBool: false, wrappedString: "a", wrappedDouble: 1000 }
    ],
    ['struct={"a":[1,null]}&value=text', { struct: { a: [1, null] }, value: { kind: { case: "stringValue", value: "text" } } }],
    ["struct.a=b", { struct: { a: "b" } }],
    ["string_value=%zz", "refused"],
    ["string_value=a%20b+c%2B&far=", { stringValue: "a b c+" }]
  ]
  for (const [input, expected] of alike) {
    it(`alike: ${input}`, async () => {
      const mine = Form.codec.decode(WideSchema, new TextEncoder().encode(input))
      assert.deepStrictEqual(Result.isFailure(mine) ? "refused" : mine.success, outcome(expected), "ours")
      for (const codec of ["v2/form", "v3/form"] as const) assert.deepStrictEqual(await reads(codec, input), outcome(expected), codec)
    })
  }

  for (const [what, codec, input, theirs, ours] of differences) {
    it(`on purpose, ${codec.slice(3)}: ${what}`, async () => {
      const mine = (codec === "v3/form" ? Form.codec : codec === "v3/json" ? Json.std : Json.protojson).decode(
        WideSchema,
        new TextEncoder().encode(input)
      )
      assert.deepStrictEqual(Result.isFailure(mine) ? "refused" : mine.success, outcome(ours), "ours")
      assert.deepStrictEqual(await reads(codec, input), theirs === "panics" ? theirs : outcome(theirs), "theirs")
    })
  }

  it("on purpose, standard JSON: bytes that are not UTF-8", async () => {
    const input = Uint8Array.of(...new TextEncoder().encode('{"far":"'), 0xff, 0x22, 0x7d)
    const answer = await peer.ask("decode", "v3/json", WideSchema.typeName, input)
    assert.strictEqual("data" in answer && fromBinary(WideSchema, answer.data).far, "\ufffd")
    assert.include(Result.getOrThrow(Result.flip(Json.std.decode(WideSchema, input))).message, "UTF-8")
  })

  it("on purpose, protojson: a value that is unset is not null", async () => {
    const answer = await peer.ask("encode", "v3/protojson", WideSchema.typeName, new Uint8Array(0))
    assert.match("data" in answer ? new TextDecoder().decode(answer.data) : "", /"value": ?null/)
    assert.notInclude(new TextDecoder().decode(Result.getOrThrow(Json.protojson.encode(WideSchema, create(WideSchema)))), '"value"')
  })

  it("on purpose: what Kratos does not write, we do", async () => {
    const writes = async (codec: GoPeer.Codec, init: MessageInitShape<typeof WideSchema>) => {
      const answer = await peer.ask("encode", codec, WideSchema.typeName, toBinary(WideSchema, create(WideSchema, init)))
      return "error" in answer ? (answer.error.startsWith("panic") ? "panics" : "refused") : new TextDecoder().decode(answer.data)
    }
    const ours = (init: MessageInitShape<typeof WideSchema>) =>
      new TextDecoder().decode(Result.getOrThrow(Form.codec.encode(WideSchema, create(WideSchema, init))))
    const rows: ReadonlyArray<readonly [init: MessageInitShape<typeof WideSchema>, theirs: string, mine: string]> = [
      // an enum may have any value
      [{ color: 9 as Color }, "panics", "color=9"],
      [{ nesteds: [{ name: "a" }] }, "refused", "nesteds%5B0%5D.name=a"],
      [{ struct: { a: 1 } }, "", "struct=%7B%22a%22%3A1%7D"],
      [{ value: { kind: { case: "stringValue", value: "a" } } }, "value.stringValue=a", "value=a"],
      [{ duration: { seconds: 9_223_372_037n } }, "duration=2562047h47m16.854775807s", "duration=9223372037s"]
    ]
    for (const [init, theirs, mine] of rows) {
      assert.strictEqual(await writes("v3/form", init), theirs)
      assert.strictEqual(ours(init), mine)
    }
  })
})
