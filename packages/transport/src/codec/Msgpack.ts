/**
 * `application/msgpack`: maps keyed by the names of Go's struct fields, `UserId` for `user_id`, as vmihailenco/msgpack writes them for Kratos; on input
 * also by those of proto and JSON. Enums are numbers, times have `Seconds` and `Nanos`; Go cannot read a oneof that is set.
 */
import * as Codec from "./Codec.ts"
import * as GoReader from "./GoReader.ts"
import * as GoTree from "./GoTree.ts"
import * as MsgpackBytes from "./MsgpackBytes.ts"

const style: GoTree.Style = {
  name: ({ goName }) => goName,
  choiceName: (goName) => goName,
  omitEmpty: false,
  bytes: (bytes) => bytes,
  plainJson: false
}

const rules: GoReader.Rules = { strict: false, bytes: "raw", repeats: false }

const what = "body unmarshal msgpack"

const parse = (bytes: Uint8Array): GoTree.Tree => MsgpackBytes.parse(bytes, GoReader.maxDepth)

export const codec: Codec.Codec = {
  name: "msgpack",
  binary: true,
  contentType: "application/msgpack",
  contentTypes: ["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"],
  encode: (schema, message) => Codec.encoding(() => MsgpackBytes.write(GoTree.ofMessage(schema, message, style))),
  decode: (schema, bytes) => Codec.decoding(what, () => GoReader.message(schema, parse(bytes), rules, bytes.length + 1) as never),
  field: {
    encode: (field, message) => Codec.encoding(() => MsgpackBytes.write(GoTree.ofField(field, message, style))),
    decode: (field, message, bytes) => Codec.decoding(what, () => GoReader.field(field, message, parse(bytes), rules, bytes.length + 1))
  }
}
