/**
 * Binary protobuf, the body that every Kratos version understands. Unknown fields survive; nesting ends at 100 levels. Bytes of a message may point into its
 * input.
 */
import { fromBinary, toBinary, type DescMessage, type Message, type MessageShape } from "@bufbuild/protobuf"
import * as Decoder from "../protobuf/Decoder.ts"
import * as Codec from "./Codec.ts"

const decoders = new WeakMap<DescMessage, Decoder.Decoder>()

/** Compiled where that is possible, which also refuses messages that reach beyond their place; protobuf-es for the rest. */
const decoderOf = (schema: DescMessage): Decoder.Decoder => {
  let decoder = decoders.get(schema)
  if (decoder === undefined) {
    decoder = Decoder.compile(schema) ?? ((bytes): Message => fromBinary(schema, bytes))
    decoders.set(schema, decoder)
  }
  return decoder
}

export const codec: Codec.Codec = {
  name: "proto",
  binary: true,
  contentType: "application/proto",
  contentTypes: ["application/proto", "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf"],
  encode: (schema, message) => Codec.encoding(() => toBinary(schema, message)),
  decode: <D extends DescMessage>(schema: D, bytes: Uint8Array) =>
    // a decoder makes messages of the schema that it was compiled for
    Codec.decoding("body unmarshal proto", () => decoderOf(schema)(bytes) as MessageShape<D>)
}
