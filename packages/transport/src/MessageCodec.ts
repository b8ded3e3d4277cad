/** How messages of one type become bytes and back, made once per type: the seam for codecs that are compiled from the descriptor. */
import { type DescMessage, fromBinary, type Message, type Registry, toBinary } from "@bufbuild/protobuf"
import * as JsonReader from "./codec/JsonReader.ts"
import * as JsonWriter from "./codec/JsonWriter.ts"
import * as Utf8 from "./codec/Utf8.ts"
import { PREFIX, writePrefix } from "./grpc/Message.ts"
import { complete, type Reply } from "./Implementation.ts"
import * as Decoder from "./protobuf/Decoder.ts"
import * as Encoder from "./protobuf/Encoder.ts"
import { Writer } from "./protobuf/Writer.ts"

/** In what form messages travel. */
export type Format = "proto" | "json"

export interface MessageCodec {
  /** Undefined when the bytes are not such a message. The message refers to them only when they are `owned`: nobody writes to them any more. */
  readonly decode: (bytes: Uint8Array, owned?: boolean) => Message | undefined
  /** Whether a message may hold bytes of what it was decoded from, when those are `owned`. */
  readonly keepsBytes: boolean
  /** Throws what protobuf-es throws when `reply` is not what its type says; callers report it as a defect of the handler. */
  readonly encode: (reply: Reply) => Uint8Array
  /** Appends the same behind a prefix of gRPC, uncompressed. What it throws leaves the writer as it was. */
  readonly appendFramed: (writer: Writer, reply: Reply) => void
}

/** Encoding is synchronous, so all codecs share one writer. */
let idle: Writer | undefined
/** Encoded messages from this size on, in bytes, leave in the writer's own memory, and the writer is not used again: to copy them costs more than a new one. */
export const LARGE = 65_536

/**
 * An empty writer, to be returned with `giveBack` before anything waits, unless what it holds is `LARGE` and is passed on without a copy. Whoever comes in between, as when a wire in memory hands its bytes over at
 * once, gets another one.
 */
export const borrow = (): Writer => {
  const writer = idle ?? new Writer()
  idle = undefined
  writer.position = 0
  return writer
}

export const giveBack = (writer: Writer): void => {
  if (writer.buffer.length < LARGE * 2) idle = writer
}

/** One message behind its prefix, in memory of its own. */
export const encodeFramed = (codec: MessageCodec, reply: Reply): Uint8Array => {
  const writer = borrow()
  codec.appendFramed(writer, reply)
  return taken(writer)
}

/** What a writer holds, in memory of its own; the writer is given back or gone. */
const taken = (writer: Writer): Uint8Array => {
  const { buffer, position } = writer
  if (position >= LARGE) return writer.view(0)
  const bytes = Buffer.allocUnsafe(position)
  buffer.copy(bytes, 0, 0, position)
  giveBack(writer)
  return bytes
}

const appendFramed = (writer: Writer, bytes: Uint8Array): void => {
  const start = writer.position
  writer.skip(PREFIX)
  writer.append(bytes)
  writePrefix(writer.buffer, start, bytes.length, false)
}

/** Binary protobuf: compiled from the descriptor where that is possible, protobuf-es for the rest and for the final word on what does not fit. */
export const proto = (schema: DescMessage): MessageCodec => {
  const encoder = Encoder.compile(schema)
  const decoder = Decoder.compile(schema)
  const copies = hasBytes(schema, new Set())
  const slow = (reply: Reply) => toBinary(schema, complete(schema, reply))
  return {
    keepsBytes: copies,
    decode: (bytes, owned = false) => {
      try {
        if (decoder !== undefined) return decoder(bytes, owned)
        // protobuf-es keeps views for fields of type bytes, and the wire reuses its buffer
        return fromBinary(schema, copies && !owned ? bytes.slice() : bytes)
      } catch {
        return undefined
      }
    },
    encode: (reply) => {
      if (encoder === undefined) return slow(reply)
      const writer = borrow()
      if (write(encoder, writer, reply)) return taken(writer)
      giveBack(writer)
      return slow(reply)
    },
    appendFramed: (writer, reply) => {
      const start = writer.position
      writer.skip(PREFIX)
      if (encoder !== undefined && write(encoder, writer, reply)) {
        writePrefix(writer.buffer, start, writer.position - start - PREFIX, false)
        return
      }
      writer.position = start
      appendFramed(writer, slow(reply))
    }
  }
}

/** False, with the writer as it was, when the encoder does not take the value. */
const write = (encoder: Encoder.Encoder, writer: Writer, reply: Reply): boolean => {
  const start = writer.position
  try {
    encoder(writer, reply)
    return true
  } catch {
    writer.position = start
    return false
  }
}

/** Nesting of JSON ends here. */
const MAX_DEPTH = 100

export const json = (schema: DescMessage, registry: Registry): MessageCodec => {
  const write = JsonWriter.make({ unset: "implicit", registryOf: () => registry }).message(schema)
  const reader = JsonReader.make({ ignoreUnknown: true, maxDepth: MAX_DEPTH, registryOf: () => registry })
  const encode = (reply: Reply) => Utf8.encode(write(complete(schema, reply)))
  return {
    keepsBytes: false,
    decode: (bytes) => {
      try {
        return reader.message(schema, Utf8.decodeText(bytes))
      } catch {
        return undefined
      }
    },
    encode,
    appendFramed: (writer, reply) => appendFramed(writer, encode(reply))
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
