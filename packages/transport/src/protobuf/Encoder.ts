/**
 * Encoders compiled from descriptors: one function a message type, written as source text and handed to the engine, so that every field is a property
 * access and a call. They take messages and initialisers alike. The bytes are those of protobuf-es; where a value is not what its type says they
 * throw, and `MessageCodec` asks protobuf-es.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf"
import * as Shape from "./Shape.ts"
import type { Writer } from "./Writer.ts"

export type Encoder = (writer: Writer, message: object) => void

/** Compiles an encoder; undefined where a type is not supported or code may not be made from text. */
export const compile = (desc: DescMessage): Encoder | undefined => {
  if (!Shape.isSupported(desc)) return undefined
  const types = Shape.closure(desc)
  const source = types.map((type, index) => messageSource(type, index, types)).join("\n")
  try {
    return new Function(`"use strict"\n${source}\nreturn encode0`)() as Encoder // what the text above defines
  } catch {
    return undefined
  }
}

const messageSource = (desc: DescMessage, index: number, types: ReadonlyArray<DescMessage>): string => {
  const fields = [...desc.fields].sort((a, b) => a.number - b.number)
  const name = Shape.quote(desc.typeName)
  return `function encode${index}(w, m) {
  if (m.$typeName !== undefined && m.$typeName !== ${name}) throw new Error("not a " + ${name})
  let v
${fields.map((field) => fieldSource(field, types)).join("\n")}
  if (m.$unknown !== undefined) for (const u of m.$unknown) { w.raw32((u.no << 3 | u.wireType) >>> 0); w.append(u.data) }
}`
}

const fieldSource = (field: DescField, types: ReadonlyArray<DescMessage>): string => {
  const property = `m[${Shape.quote(field.localName)}]`
  const present = "v !== undefined && v !== null"
  if (field.oneof !== undefined) {
    const member = `m[${Shape.quote(field.oneof.localName)}]`
    return `  v = ${member}
  if (${present} && v.case === ${Shape.quote(field.localName)}) { v = v.value; ${valueSource(field, "v", types)} }`
  }
  switch (field.fieldKind) {
    case "list": {
      const { method, wire } = Shape.scalar(field.scalar)
      const each =
        field.listKind !== "message" && field.packed
          ? `${writeTag(field.number, 2)}; const s = w.fork(); for (let i = 0; i < v.length; i++) w.${method}(v[i]); w.join(s)`
          : `for (let i = 0; i < v.length; i++) { ${field.listKind === "message" ? nested(field.number, types.indexOf(field.message), "v[i]") : `${writeTag(field.number, wire)}; w.${method}(v[i])`} }`
      return `  v = ${property}
  if (${present}) { if (!Array.isArray(v)) throw new Error("not a list"); if (v.length > 0) { ${each} } }`
    }
    case "map": {
      const key = Shape.scalar(field.mapKey)
      const value = Shape.scalar(field.scalar)
      const read =
        key.method === "string"
          ? "k"
          : key.method === "bool"
            ? `(k === "true" ? true : k === "false" ? false : k)`
            : key.zero === "0n"
              ? "BigInt(k)"
              : "Number(k)"
      const write =
        field.mapKind === "message"
          ? nested(2, types.indexOf(field.message), "v[k]")
          : `${writeTag(2, value.wire)}; w.${value.method}(v[k])`
      return `  v = ${property}
  if (${present}) for (const k of Object.keys(v)) { ${writeTag(field.number, 2)}; const s = w.fork(); ${writeTag(1, key.wire)}; w.${key.method}(${read}); ${write}; w.join(s) }`
    }
    default: {
      if (field.fieldKind === "message" || !Shape.isImplicit(field))
        return `  v = ${property}\n  if (${present}) { ${valueSource(field, "v", types)} }`
      const { method, zero } = Shape.scalar(field.scalar)
      const isZero =
        method === "bytes" ? "v.length === 0" : method === "double" || method === "float" ? "v === 0 && !Object.is(v, -0)" : `v === ${zero}`
      return `  v = ${property}\n  if (${present} && !(${isZero})) { ${valueSource(field, "v", types)} }`
    }
  }
}

const valueSource = (field: DescField, value: string, types: ReadonlyArray<DescMessage>): string => {
  if (field.message !== undefined) return nested(field.number, types.indexOf(field.message), value)
  const { method, wire } = Shape.scalar(field.scalar)
  return `${writeTag(field.number, wire)}; w.${method}(${value})`
}

const nested = (number: number, type: number, value: string): string =>
  `${writeTag(number, 2)}; const s = w.fork(); encode${type}(w, ${value}); w.join(s)`

/** Most tags are one byte, for which there is a shorter way. */
const writeTag = (number: number, wire: number): string => {
  const value = tag(number, wire)
  return value < 0x80 ? `w.byte(${value})` : `w.raw32(${value})`
}

const tag = (number: number, wire: number): number => ((number << 3) | wire) >>> 0
