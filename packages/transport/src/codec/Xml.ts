/**
 * `application/xml`: elements named as the fields of Go's structs, `UserId` for `user_id`, as Go's `encoding/xml` has it; on input also the names of proto
 * and JSON. Lists repeat their element, enums are numbers, times have `Seconds` and `Nanos`, bytes are text, so that bytes which are not do not encode.
 * Go cannot write or read maps and loses oneofs; here an entry of a map is an element with `Key` and `Value`, and a oneof is read back.
 */
import { isUtf8 } from "node:buffer"
import * as Codec from "./Codec.ts"
import * as GoReader from "./GoReader.ts"
import * as GoStruct from "./GoStruct.ts"
import * as GoTree from "./GoTree.ts"
import * as Utf8 from "./Utf8.ts"
import * as XmlText from "./XmlText.ts"

const style: GoTree.Style = {
  name: ({ goName }) => goName,
  choiceName: (goName) => goName,
  omitEmpty: false,
  bytes: (bytes) => {
    const text = isUtf8(bytes) ? Utf8.decode(bytes) : undefined
    if (text === undefined || (text.length === 0) !== (bytes.length === 0) || !XmlText.holds(text))
      throw new RangeError("XML cannot hold these bytes")
    return text
  },
  map: (entries) =>
    entries.map(([key, value]) => ({
      entries: [
        ["Key", key],
        ["Value", value]
      ]
    })),
  plainJson: false
}

const rules: GoReader.Rules = { strict: false, bytes: "raw", repeats: true }

export const codec: Codec.Codec = {
  name: "xml",
  contentType: "application/xml",
  contentTypes: ["application/xml", "text/xml"],
  encode: (schema, message) =>
    Codec.encoding(() => Utf8.encode(XmlText.write(GoStruct.of(schema).name, GoTree.ofMessage(schema, message, style)))),
  decode: (schema, bytes) =>
    Codec.decoding(
      "body unmarshal xml",
      () => GoReader.message(schema, XmlText.parse(Utf8.decodeText(bytes), GoReader.maxDepth), rules, bytes.length + 1) as never
    )
}
