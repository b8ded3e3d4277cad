/** How messages of one type become bytes and back, made once per type: the seam for codecs that are compiled from the descriptor. */
import { type DescMessage, fromBinary, fromJsonString, type Message, type Registry, toBinary } from "@bufbuild/protobuf"
import * as JsonWriter from "./codec/JsonWriter.ts"
import * as Utf8 from "./codec/Utf8.ts"
import { PREFIX, writePrefix } from "./grpc/Message.ts"
import { complete, type Reply } from "./Implementation.ts"
import * as Decoder from "./protobuf/Decoder.ts"
import * as Encoder from "./protobuf/Encoder.ts"
import { Writer } from "./protobuf/Writer.ts"

export interface MessageCodec {
  /** Undefined when the bytes are not such a message. The message may refer to `bytes` only as long as it has no field of type bytes. */
  readonly decode: (bytes: Uint8Array) => Message | undefined
  /** Throws what protobuf-es throws when `reply` is not what its type says; callers report it as a defect of the handler. */
  readonly encode: (reply: Reply) => Uint8Array
  /** The same behind a prefix of gRPC, uncompressed. */
  readonly encodeFramed: (reply: Reply) => Uint8Array
}

const framed = (bytes: Uint8Array): Uint8Array => {
  const target = new Uint8Array(PREFIX + bytes.length)
  target.set(bytes, PREFIX)
  writePrefix(target, 0, bytes.length, false)
  return target
}

/** Binary protobuf: compiled from the descriptor where that is possible, protobuf-es for the rest and for the final word on what does not fit. */
export const proto = (schema: DescMessage): MessageCodec => {
  const encoder = Encoder.compile(schema)
  const decoder = Decoder.compile(schema)
  const copies = hasBytes(schema, new Set())
  const slow = (reply: Reply) => toBinary(schema, complete(schema, reply))
  return {
    decode: (bytes) => {
      try {
        if (decoder !== undefined) return decoder(bytes)
        // protobuf-es keeps views for fields of type bytes, and the wire reuses its buffer
        return fromBinary(schema, copies ? bytes.slice() : bytes)
      } catch {
        return undefined
      }
    },
    encode: (reply) => (encoder && written(encoder, reply, 0)) ?? slow(reply),
    encodeFramed: (reply) => {
      const bytes = encoder && written(encoder, reply, PREFIX)
      if (bytes === undefined) return framed(slow(reply))
      writePrefix(bytes, 0, bytes.length - PREFIX, false)
      return bytes
    }
  }
}

/** Encoding is synchronous, so all codecs share one writer; one that has grown large is not kept. */
let shared: Writer | undefined
const MAX_KEPT = 1_048_576

/** What the encoder writes behind `offset` free bytes; undefined when it does not take the value. */
const written = (encoder: Encoder.Encoder, reply: Reply, offset: number): Uint8Array | undefined => {
  const writer = (shared ??= new Writer())
  writer.position = offset
  try {
    encoder(writer, reply)
  } catch {
    return undefined
  }
  const bytes = Buffer.allocUnsafe(writer.position)
  writer.buffer.copy(bytes, offset, offset, writer.position)
  if (writer.buffer.length > MAX_KEPT) shared = undefined
  return bytes
}

export const json = (schema: DescMessage, registry: Registry): MessageCodec => {
  const write = JsonWriter.make({ alwaysEmitImplicit: true, registry }).message(schema)
  const encode = (reply: Reply) => Utf8.encode(write(complete(schema, reply)))
  return {
    decode: (bytes) => {
      try {
        return fromJsonString(schema, Utf8.decodeText(bytes), { ignoreUnknownFields: true, registry })
      } catch {
        return undefined
      }
    },
    encode,
    encodeFramed: (reply) => framed(encode(reply))
  }
}

/** True when a message of this type can hold bytes, at any depth; unknown fields do not count. */
const hasBytes = (schema: DescMessage, seen: Set<DescMessage>): boolean => {
  if (seen.has(schema)) return false
  seen.add(schema)
  return schema.fields.some((field) => {
    const scalar = field.fieldKind === "scalar" || field.fieldKind === "list" || field.fieldKind === "map" ? field.scalar : undefined
    if (scalar === 12) return true
    return field.message !== undefined && hasBytes(field.message, seen)
  })
}
