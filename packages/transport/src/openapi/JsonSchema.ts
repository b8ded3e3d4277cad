/** JSON Schema (draft 2020-12) as data, and the shapes that protobuf's JSON mapping gives to scalars and well-known types. */
import { ScalarType, type DescMessage } from "@bufbuild/protobuf"

export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

export interface Schema {
  readonly [keyword: string]: Json
}

/** Doubles that JSON has no number for are words. */
export const notNumbers = ["NaN", "Infinity", "-Infinity"] as const

export const scalar = (type: ScalarType): Schema => {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" }
    case ScalarType.BOOL:
      return { type: "boolean" }
    case ScalarType.BYTES:
      // the keyword of JSON Schema, and the format that older tools know
      return { type: "string", format: "byte", contentEncoding: "base64" }
    case ScalarType.DOUBLE:
      return {
        anyOf: [
          { type: "number", format: "double" },
          { type: "string", enum: notNumbers }
        ]
      }
    case ScalarType.FLOAT:
      return {
        anyOf: [
          { type: "number", format: "float" },
          { type: "string", enum: notNumbers }
        ]
      }
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" }
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "int64", minimum: 0, maximum: 4_294_967_295 }
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      // beyond what a JSON number holds in most languages
      return { type: "string", format: "int64", pattern: "^-?[0-9]+$" }
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", pattern: "^[0-9]+$" }
  }
}

/** The same, or null. */
export const orNull = (schema: Schema): Schema =>
  typeof schema["type"] === "string" && schema["enum"] === undefined && schema["const"] === undefined
    ? { ...schema, type: [schema["type"], "null"] }
    : { anyOf: [schema, { type: "null" }] }

/** The keys of a map; undefined when any text will do. */
export const mapKey = (type: ScalarType): Schema | undefined => {
  switch (type) {
    case ScalarType.STRING:
      return undefined
    case ScalarType.BOOL:
      return { enum: ["true", "false"] }
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { pattern: "^[0-9]+$" }
    default:
      return { pattern: "^-?[0-9]+$" }
  }
}

/** The shape of a message that has one of its own in JSON; undefined for all others. */
export const wellKnown = (desc: DescMessage): Schema | undefined => {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return { type: "string", format: "date-time" }
    case "google.protobuf.Duration":
      return { type: "string", pattern: String.raw`^-?[0-9]+(\.[0-9]{1,9})?s$`, examples: ["1.5s"] }
    case "google.protobuf.FieldMask":
      return { type: "string", examples: ["title,owner.displayName"] }
    case "google.protobuf.Struct":
      return { type: "object", additionalProperties: true }
    case "google.protobuf.Value":
      return {}
    case "google.protobuf.ListValue":
      return { type: "array", items: {} }
    case "google.protobuf.Empty":
      return { type: "object" }
    case "google.protobuf.Any":
      return {
        type: "object",
        properties: { "@type": { type: "string", description: "The type's full name behind a slash." } },
        additionalProperties: true
      }
    case "google.protobuf.DoubleValue":
    case "google.protobuf.FloatValue":
    case "google.protobuf.Int64Value":
    case "google.protobuf.UInt64Value":
    case "google.protobuf.Int32Value":
    case "google.protobuf.UInt32Value":
    case "google.protobuf.BoolValue":
    case "google.protobuf.StringValue":
    case "google.protobuf.BytesValue":
      return scalar(desc.fields[0]!.scalar!)
    default:
      return undefined
  }
}

/** Raw bytes of any content type. */
export const binary: Schema = { type: "string", format: "binary" }

/** Adds texts to a description. */
export const describe = (schema: Schema, ...texts: ReadonlyArray<string | undefined>): Schema => {
  const known = schema["description"]
  const all = [...texts, typeof known === "string" ? known : undefined].filter((text) => text !== undefined && text !== "")
  return all.length === 0 ? schema : { ...schema, description: all.join("\n\n") }
}
