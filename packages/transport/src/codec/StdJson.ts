/**
 * Messages in the JSON that Go's standard library makes of generated structs, which is what Kratos v3 sends as `application/json`: proto names, nothing
 * that is zero, 64-bit integers and enums as numbers, times as seconds and nanos, a oneof as an object under its Go name. Input follows the same rules,
 * except that Go cannot read a oneof back and we can; a number in quotes is an error, unknown fields are skipped. Numbers that are not finite, which
 * JSON does not have, do not encode.
 */
import { create } from "@bufbuild/protobuf"
import { Buffer } from "node:buffer"
import * as Codec from "./Codec.ts"
import * as GoReader from "./GoReader.ts"
import * as GoTree from "./GoTree.ts"
import * as JsonText from "./JsonText.ts"
import * as Utf8 from "./Utf8.ts"

const style: GoTree.Style = {
  name: ({ field }) => field.name,
  choiceName: (name) => name,
  omitEmpty: true,
  bytes: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
  plainJson: true
}

const rules: GoReader.Rules = { strict: true, bytes: "base64", repeats: false }

const what = "body unmarshal json"

export const codec: Codec.Codec = {
  name: "json",
  contentType: "application/json",
  contentTypes: ["application/json", "text/json"],
  encode: (schema, message) => Codec.encoding(() => Utf8.encode(JsonText.write(GoTree.ofMessage(schema, message, style)))),
  decode: (schema, bytes) =>
    Codec.decoding(what, () => {
      // for the standard library nothing is no input, not bad input
      if (bytes.length === 0) return create(schema)
      return GoReader.message(schema, parse(bytes), rules, bytes.length + 1) as never
    }),
  field: {
    encode: (field, message) => Codec.encoding(() => Utf8.encode(JsonText.write(GoTree.ofField(field, message, style)))),
    decode: (field, message, bytes) =>
      Codec.decoding(what, () => {
        if (bytes.length > 0) GoReader.field(field, message, parse(bytes), rules, bytes.length + 1)
      })
  }
}

const parse = (bytes: Uint8Array): GoTree.Tree => JsonText.parse(Utf8.decodeText(bytes), GoReader.maxDepth)
