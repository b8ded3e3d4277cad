/** The readers of REST's bodies: what is not well-formed is 400 `CODEC` (413 for what is too large), what is read can be written and read again. */
import { type DescMessage, toBinary } from "@bufbuild/protobuf"
import * as Result from "effect/Result"
import type { Codec } from "../../../packages/transport/src/codec/Codec.ts"
import * as Form from "../../../packages/transport/src/codec/Form.ts"
import * as Json from "../../../packages/transport/src/codec/Json.ts"
import * as JsonText from "../../../packages/transport/src/codec/JsonText.ts"
import * as Msgpack from "../../../packages/transport/src/codec/Msgpack.ts"
import * as Proto from "../../../packages/transport/src/codec/Proto.ts"
import * as Xml from "../../../packages/transport/src/codec/Xml.ts"
import * as Yaml from "../../../packages/transport/src/codec/Yaml.ts"
import { WideSchema } from "../../../packages/transport/test/gen/test/v1/rest_pb.ts"
import * as RandomMessage from "../../../packages/transport/test/codec/randomMessage.ts"
import { mutate } from "../Mutation.ts"
import { bytesOf, holds, type Target, textOf } from "../Target.ts"

const schema: DescMessage = WideSchema

const formats: ReadonlyArray<readonly [codec: Codec, name: string, words: ReadonlyArray<string>]> = [
  [
    Json.json,
    "json",
    [
      '"',
      "{",
      "}",
      "[",
      "]",
      ":",
      ",",
      "null",
      "true",
      "1e999",
      "-0",
      "1.5",
      '"text":',
      '"__proto__":',
      "\\ud800",
      "\\u0000",
      '"labels":{"a":"b"}',
      '"@type":',
      "\xef\xbb\xbf",
      "[[[[[[[["
    ]
  ],
  [
    Json.std,
    "std-json",
    [
      '"',
      "{",
      "}",
      "[",
      "]",
      ":",
      ",",
      "null",
      "true",
      "1e999",
      "-0",
      "1.5",
      '"text":',
      '"__proto__":',
      "\\ud800",
      "\\u0000",
      '"seconds":',
      "[[[[[[[["
    ]
  ],
  [
    Form.codec,
    "form",
    ["&", "=", "%", "%00", "%ff", "%F0%9F", "+", "[", "]", ".", "nested.", "labels[", "__proto__", "nesteds[0]", "1e999", "null", "struct"]
  ],
  [
    Xml.codec,
    "xml",
    [
      "<",
      ">",
      "</",
      "/>",
      "&",
      "&amp;",
      "&#0;",
      "&#x1F600;",
      "&#xD800;",
      "<![CDATA[",
      "]]>",
      "<!--",
      "-->",
      "<?xml",
      "?>",
      "<!DOCTYPE a [<!ENTITY",
      "xmlns:",
      '="',
      "Key",
      "Value"
    ]
  ],
  [
    Yaml.codec,
    "yaml",
    [
      ":",
      "- ",
      "\n",
      "  ",
      "&a ",
      "*a",
      "!!binary ",
      "!!map",
      "<<: ",
      "|",
      ">",
      "? ",
      "#",
      "'",
      '"',
      "~",
      "---",
      "...",
      "%YAML 1.2",
      "[",
      "{",
      "\t"
    ]
  ],
  [
    Msgpack.codec,
    "msgpack",
    [
      "\xc0",
      "\xc1",
      "\xc4\xff",
      "\xc9",
      "\xca",
      "\xcb",
      "\xcf",
      "\xd3",
      "\xd9\xff",
      "\xdb\xff\xff\xff\xff",
      "\xdd\xff\xff\xff\xff",
      "\xdf\xff\xff\xff\xff",
      "\x81",
      "\x91",
      "\xa1x",
      "\xde"
    ]
  ],
  [Proto.codec, "proto", ["\x08", "\x0a", "\xff\xff\xff\xff\x0f", "\x0b", "\x0c"]]
]

/** A result of a codec: 4xx with a reason and a text of limited length. */
const refused = (result: Result.Result<unknown, { readonly code: number; readonly reason: string; readonly message: string }>): boolean => {
  if (Result.isSuccess(result)) return false
  const { code, message, reason } = result.failure
  holds(code === 400 || code === 413, () => `code ${code}: ${message}`)
  holds(reason === "CODEC" && message.length <= 260, () => `reason ${reason}, ${message.length} units`)
  return true
}

const targetOf = ([codec, name, words]: (typeof formats)[number]): Target => ({
  name: `codec-${name}`,
  share: name === "yaml" ? 0.1 : name === "xml" || name === "msgpack" ? 0.25 : 0.4,
  law: "read or refused with 400 CODEC; what is read is written and read back as it was",
  make: (random) => {
    const written = codec.encode(schema, RandomMessage.message(schema, random, undefined, 1) as never)
    const text = Result.isSuccess(written) ? textOf(written.success) : ""
    const grammar = random.some(words, 12)
    return random.below(6) === 0 ? grammar : mutate(random, text.length > 600 && random.below(2) === 0 ? text.slice(0, 600) : text, words)
  },
  run: (input) => {
    const decoded = codec.decode(schema, bytesOf(input))
    if (refused(decoded) || Result.isFailure(decoded)) return
    const message = decoded.success
    const before = toBinary(schema, message)
    const again = codec.encode(schema, message as never)
    // a value that this format cannot hold: infinity, bytes that are no text
    if (Result.isFailure(again)) return
    const back = codec.decode(schema, again.success)
    holds(
      Result.isSuccess(back),
      () => `written as ${textOf(again.success)}, which is refused: ${Result.isFailure(back) ? back.failure.message : ""}`
    )
    // formats may lose what is not there and what differs in nothing but its spelling; a second time they lose nothing
    if (Result.isSuccess(back)) {
      const twice = codec.encode(schema, back.success as never)
      holds(
        Result.isSuccess(twice) && Buffer.from(twice.success).equals(again.success),
        () => `written as ${textOf(again.success)}, then ${Result.isSuccess(twice) ? textOf(twice.success) : "not at all"}`
      )
    }
    holds(before.length >= 0, () => "")
  }
})

export const codecs: ReadonlyArray<Target> = formats.map(targetOf)

/** Our reader of JSON against the language's. */
export const jsonText: Target = {
  name: "json-text",
  share: 6,
  law: "a document that our reader takes, JSON.parse takes; one that JSON.parse takes and ours refuses has a duplicate key or nests too deep",
  make: (random) =>
    mutate(
      random,
      random.some(
        ['{"a":1,"b":[true,null]}', "[1,2.5e3,-0]", '"x\\u00e9\\n"', "  null ", '{"a":{"b":"c"}}', "[]", "{}", "1", '"\\ud83d\\ude00"'],
        1
      ),
      formats[0]![2]
    ),
  run: (text) => {
    let ours: unknown
    try {
      ours = JsonText.parse(text, 100)
    } catch (error) {
      holds(error instanceof Error && error.constructor.name === "BadText", () => `throws ${String(error)}`)
      let theirs: unknown
      try {
        theirs = JSON.parse(text)
      } catch {
        return
      }
      const message = (error as Error).message
      holds(/twice|nest|deep|level|range/i.test(message), () => `refused (${message}) what is ${JSON.stringify(theirs)}`)
      return
    }
    try {
      JSON.parse(text)
    } catch (error) {
      holds(false, () => `read as ${String(ours)}: ${String(error)}`)
    }
  }
}
