/** Binary protobuf, the body that every Kratos version understands. Unknown fields survive; nesting ends at 100 levels. */
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import * as Codec from "./Codec.ts"

export const codec: Codec.Codec = {
  name: "proto",
  binary: true,
  contentType: "application/proto",
  contentTypes: ["application/proto", "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"],
  encode: (schema, message) => Codec.encoding(() => toBinary(schema, message)),
  decode: (schema, bytes) => Codec.decoding("body unmarshal proto", () => fromBinary(schema, bytes))
}
