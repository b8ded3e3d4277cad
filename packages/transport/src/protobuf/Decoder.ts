/**
 * Decoders compiled from descriptors: one function a message type, a switch over tags. The messages are those of protobuf-es, unknown fields
 * included; malformed bytes make them throw.
 */
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf"
import { Reader } from "./Reader.ts"
import * as Shape from "./Shape.ts"

/** Fields of type bytes are copies, unless the bytes are `owned` by the message. */
export type Decoder = (bytes: Uint8Array, owned?: boolean) => Message

/** Deepest nesting of messages and groups, as in protobuf-es and most others. */
const MAX_DEPTH = 100

type Read = (message: object | undefined, reader: Reader, end: number, depth: number) => Message

/** Compiles a decoder; undefined where a type is not supported or code may not be made from text. */
export const compile = (desc: DescMessage): Decoder | undefined => {
  if (!Shape.isSupported(desc)) return undefined
  const types = Shape.closure(desc)
  const source = types.map((type, index) => messageSource(type, index, types)).join("\n")
  try {
    const read = new Function("unknown", "setOwn", `"use strict"\n${source}\nreturn decode0`)(unknown, setOwn) as Read // what the text above defines
    return (bytes, owned = false) => read(undefined, new Reader(bytes, owned), bytes.length, MAX_DEPTH)
  } catch {
    return undefined
  }
}

const unknown = (message: { $unknown?: Array<object> }, reader: Reader, tag: number, depth: number): void => {
  const start = reader.position
  reader.skip(tag, depth)
  const field = { no: tag >>> 3, wireType: tag & 7, data: reader.buffer.slice(start, reader.position) }
  if (message.$unknown === undefined) message.$unknown = [field]
  else message.$unknown.push(field)
}

const setOwn = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

const messageSource = (
  desc: DescMessage,
  index: number,
  types: ReadonlyArray<DescMessage>
): string => `function decode${index}(m, r, end, depth) {
  if (depth <= 0) r.fail()
  if (m === undefined) m = ${emptySource(desc)}
  const { buffer } = r
  while (r.position < end) {
    let t = buffer[r.position]
    if (t < 128) r.position++; else t = r.tag()
    switch (t) {
${desc.fields.map((field) => fieldSource(field, types)).join("\n")}
      default: unknown(m, r, t, depth)
    }
  }
  if (r.position !== end) r.fail()
  return m
}`

/** A fresh message as `create` makes it, as a literal, so that all messages of a type have one shape. */
const emptySource = (desc: DescMessage): string => {
  const empty = create(desc) as unknown as Record<string, unknown> // to look at its properties
  const properties = Object.entries(empty).map(([name, value]) => `${Shape.quote(name)}: ${literal(value)}`)
  return `{ ${properties.join(", ")} }`
}

const literal = (value: unknown): string =>
  typeof value === "string"
    ? Shape.quote(value)
    : typeof value === "bigint"
      ? `${value}n`
      : value instanceof Uint8Array
        ? "new Uint8Array(0)"
        : Array.isArray(value)
          ? "[]"
          : typeof value === "object" && value !== null
            ? "case" in value
              ? "{ case: undefined }"
              : "{}"
            : String(value)

const fieldSource = (field: DescField, types: ReadonlyArray<DescMessage>): string => {
  const property = `m[${Shape.quote(field.localName)}]`
  const message = (into: string) => `decode${types.indexOf(field.message!)}(${into}, r, r.end(), depth - 1)`
  const { method, wire } = Shape.scalar(field.scalar)
  const on = (wireType: number, code: string) => `      case ${((field.number << 3) | wireType) >>> 0}: ${code}; break`
  if (field.oneof !== undefined) {
    const group = `m[${Shape.quote(field.oneof.localName)}]`
    const name = Shape.quote(field.localName)
    return field.message === undefined
      ? on(wire, `${group} = { case: ${name}, value: r.${method}() }`)
      : on(2, `${group} = { case: ${name}, value: ${message(`${group}.case === ${name} ? ${group}.value : undefined`)} }`)
  }
  switch (field.fieldKind) {
    case "list": {
      if (field.listKind === "message") return on(2, `${property}.push(${message("undefined")})`)
      const single = on(wire, `${property}.push(r.${method}())`)
      const packed = `{ const e = r.end(), l = ${property}; while (r.position < e) l.push(r.${method}()); if (r.position !== e) r.fail() }`
      return wire === 2 ? single : `${single}\n${on(2, packed)}`
    }
    case "map":
      return on(2, mapSource(field, property, types))
    case "message":
      return on(2, `${property} = ${message(property)}`)
    default:
      return on(wire, `${property} = r.${method}()`)
  }
}

const mapSource = (field: DescField & { readonly fieldKind: "map" }, property: string, types: ReadonlyArray<DescMessage>): string => {
  const key = Shape.scalar(field.mapKey)
  const value = Shape.scalar(field.scalar)
  const type = types.indexOf(field.message!)
  const read = field.mapKind === "message" ? `x = decode${type}(x, r, r.end(), depth - 1)` : `x = r.${value.method}()`
  const wire = field.mapKind === "message" ? 2 : value.wire
  // an entry without a value holds the empty one
  const absent = field.mapKind === "message" ? `decode${type}(undefined, r, r.position, depth - 1)` : value.zero
  return `{ const e = r.end(); let k = ${key.zero}, x
        while (r.position < e) { const t = r.tag(); if (t === ${(1 << 3) | key.wire}) k = r.${key.method}(); else if (t === ${(2 << 3) | wire}) ${read}; else r.skip(t, depth) }
        if (r.position !== e) r.fail()
        if (x === undefined) x = ${absent}
        if (k === "__proto__") setOwn(${property}, k, x); else ${property}[k] = x }`
}
