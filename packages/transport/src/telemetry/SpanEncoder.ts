/**
 * Spans in protobuf (`opentelemetry.proto.trace.v1.TracesData`), into one buffer from front to back. Effect's serialization makes an array of bytes for each
 * number and joins them on every level; at tens of thousands of spans a second that is most of what a traced call costs. Byte for byte the same.
 */
import type { AnyValue, KeyValue, Resource } from "effect/observability/OtlpResource"
import type { TraceData } from "effect/observability/OtlpTracer"
import { Writer } from "../protobuf/Writer.ts"

type ScopeSpans = TraceData["resourceSpans"][number]["scopeSpans"][number]
type Span = ScopeSpans["spans"][number]

/** A buffer that has grown larger than this, in bytes, is not kept for the next batch. */
const KEPT = 4_194_304

/** An encoder; its result is a copy, its buffer is used again. */
export const make = (): ((data: TraceData) => Uint8Array) => {
  let writer = new Writer()
  return ({ resourceSpans }) => {
    writer.position = 0
    for (const { resource, schemaUrl, scopeSpans } of resourceSpans) {
      const start = begin(writer, 1)
      writeResource(writer, resource)
      for (const one of scopeSpans) writeScope(writer, one)
      if (schemaUrl !== undefined && schemaUrl !== "") text(writer, 3, schemaUrl)
      writer.join(start)
    }
    const bytes = Uint8Array.prototype.slice.call(writer.view(0))
    if (writer.buffer.length > KEPT) writer = new Writer()
    return bytes
  }
}

/** Tags are below 128 for fields below 16, and two bytes above. */
const tag = (writer: Writer, field: number, wire: number): void => writer.raw32((field << 3) | wire)

const begin = (writer: Writer, field: number): number => {
  tag(writer, field, 2)
  return writer.fork()
}

const text = (writer: Writer, field: number, value: string): void => {
  tag(writer, field, 2)
  writer.string(value)
}

const varint = (writer: Writer, field: number, value: number): void => {
  tag(writer, field, 0)
  writer.uint32(value)
}

const nanos = (writer: Writer, field: number, value: string): void => {
  tag(writer, field, 1)
  writer.fixed64(BigInt(value))
}

const hex = (writer: Writer, field: number, value: string): void => {
  tag(writer, field, 2)
  const length = value.length >> 1
  writer.raw32(length)
  writer.reserve(length)
  const { buffer } = writer
  let { position } = writer
  for (let i = 0; i < value.length; i += 2) buffer[position++] = (digit(value.charCodeAt(i)) << 4) | digit(value.charCodeAt(i + 1))
  writer.position = position
}

/** The value of a lower-case hexadecimal digit, as ids have them. */
const digit = (code: number): number => (code <= 57 ? code - 48 : code - 87)

const writeResource = (writer: Writer, { attributes, droppedAttributesCount }: Resource): void => {
  const start = begin(writer, 1)
  writeAttributes(writer, 1, attributes)
  if (droppedAttributesCount > 0) varint(writer, 2, droppedAttributesCount)
  writer.join(start)
}

const writeScope = (writer: Writer, { schemaUrl, scope, spans }: ScopeSpans): void => {
  const start = begin(writer, 2)
  const inner = begin(writer, 1)
  text(writer, 1, scope.name)
  if (scope.version !== undefined && scope.version !== "") text(writer, 2, scope.version)
  writer.join(inner)
  for (const span of spans) writeSpan(writer, span)
  if (schemaUrl !== undefined && schemaUrl !== "") text(writer, 3, schemaUrl)
  writer.join(start)
}

const writeSpan = (writer: Writer, span: Span): void => {
  const start = begin(writer, 2)
  hex(writer, 1, span.traceId)
  hex(writer, 2, span.spanId)
  if (span.parentSpanId !== undefined) hex(writer, 4, span.parentSpanId)
  text(writer, 5, span.name)
  varint(writer, 6, span.kind)
  nanos(writer, 7, span.startTimeUnixNano)
  nanos(writer, 8, span.endTimeUnixNano)
  writeAttributes(writer, 9, span.attributes)
  if (span.droppedAttributesCount > 0) varint(writer, 10, span.droppedAttributesCount)
  for (const event of span.events) {
    const at = begin(writer, 11)
    nanos(writer, 1, event.timeUnixNano)
    text(writer, 2, event.name)
    writeAttributes(writer, 3, event.attributes)
    if (event.droppedAttributesCount > 0) varint(writer, 4, event.droppedAttributesCount)
    writer.join(at)
  }
  if (span.droppedEventsCount > 0) varint(writer, 12, span.droppedEventsCount)
  for (const link of span.links) {
    const at = begin(writer, 13)
    hex(writer, 1, link.traceId)
    hex(writer, 2, link.spanId)
    writeAttributes(writer, 4, link.attributes)
    if (link.droppedAttributesCount > 0) varint(writer, 5, link.droppedAttributesCount)
    writer.join(at)
  }
  if (span.droppedLinksCount > 0) varint(writer, 14, span.droppedLinksCount)
  const status = begin(writer, 15)
  if (span.status.message !== undefined && span.status.message !== "") text(writer, 2, span.status.message)
  varint(writer, 3, span.status.code)
  writer.join(status)
  writer.join(start)
}

const writeAttributes = (writer: Writer, field: number, attributes: ReadonlyArray<KeyValue>): void => {
  for (let i = 0; i < attributes.length; i++) {
    const { key, value } = attributes[i]!
    const start = begin(writer, field)
    text(writer, 1, key)
    const inner = begin(writer, 2)
    writeValue(writer, value)
    writer.join(inner)
    writer.join(start)
  }
}

const writeValue = (writer: Writer, value: AnyValue): void => {
  if (value.stringValue !== undefined && value.stringValue !== null) text(writer, 1, value.stringValue)
  else if (value.boolValue !== undefined && value.boolValue !== null) varint(writer, 2, value.boolValue ? 1 : 0)
  else if (value.intValue !== undefined && value.intValue !== null) {
    tag(writer, 3, 0)
    writer.int64(BigInt.asIntN(64, BigInt(value.intValue)))
  } else if (value.doubleValue !== undefined && value.doubleValue !== null) {
    tag(writer, 4, 1)
    writer.double(value.doubleValue)
  } else if (value.arrayValue !== undefined) {
    const start = begin(writer, 5)
    for (const item of value.arrayValue.values) {
      const inner = begin(writer, 1)
      writeValue(writer, item)
      writer.join(inner)
    }
    writer.join(start)
  } else if (value.kvlistValue !== undefined) {
    const start = begin(writer, 6)
    writeAttributes(writer, 1, value.kvlistValue.values)
    writer.join(start)
  } else if (value.bytesValue !== undefined) {
    tag(writer, 7, 2)
    writer.bytes(value.bytesValue)
  }
}
