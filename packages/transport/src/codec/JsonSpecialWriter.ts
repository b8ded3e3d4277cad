/** Messages for which protobuf-JSON has a form of their own, as text: times, field masks, `Any`, wrappers, and those that stand for JSON. */
import { fromBinary, toJsonString, type DescMessage, type Message, type Registry } from "@bufbuild/protobuf"
import { isWrapperDesc, type Any, type ListValue, type Struct, type Value } from "@bufbuild/protobuf/wkt"
import * as JsonScalarWriter from "./JsonScalarWriter.ts"
import * as JsonString from "./JsonString.ts"
import * as StructText from "./StructText.ts"
import * as TimeText from "./TimeText.ts"

const special = new Set(
  ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue"].map((name) => `google.protobuf.${name}`)
)

/** Whether protobuf-JSON has a form of its own for a message. */
export const hasOwnForm = (schema: DescMessage): boolean => special.has(schema.typeName) || isWrapperDesc(schema)

/** The writer of a message that has a form of its own. */
export const of = (
  schema: DescMessage,
  registry: () => Registry | undefined,
  writerOf: (schema: DescMessage) => (message: Message) => string
): ((message: Message) => string) | undefined => {
  if (isWrapperDesc(schema)) {
    const write = JsonScalarWriter.scalar(schema.fields[0]!.scalar!)
    return (message) => write((message as unknown as Readonly<Record<string, unknown>>)["value"])
  }
  // here and below the name says what a message is
  switch (schema.typeName) {
    case "google.protobuf.Any":
      return (message) => any(message as Any, registry(), writerOf)
    case "google.protobuf.Timestamp":
      return (message) => `"${TimeText.formatTimestamp(message)}"`
    case "google.protobuf.Duration":
      return (message) => `"${TimeText.formatSeconds(message)}"`
    case "google.protobuf.FieldMask":
      return (message) => toJsonString(schema, message)
    case "google.protobuf.Struct":
      return (message) => StructText.ofStruct(message as Struct)
    case "google.protobuf.Value":
      return (message) => StructText.ofValue(message as Value)
    case "google.protobuf.ListValue":
      return (message) => StructText.ofList(message as ListValue)
    default:
      return undefined
  }
}

const any = (
  { typeUrl, value }: Any,
  registry: Registry | undefined,
  writerOf: (schema: DescMessage) => (message: Message) => string
): string => {
  if (typeUrl === "") {
    if (value.length > 0) throw JsonScalarWriter.wrong("the type of a google.protobuf.Any")
    return "{}"
  }
  const schema = registry?.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1))
  if (schema === undefined) throw new TypeError(`"${typeUrl}" is not in the type registry`)
  const text = writerOf(schema)(fromBinary(schema, value))
  const head = `{"@type":${JsonString.quote(typeUrl)}`
  // what is no object with its fields, and Empty, which has none
  if (hasOwnForm(schema) || schema.typeName === "google.protobuf.Empty") return `${head},"value":${text}}`
  return text === "{}" ? `${head}}` : `${head},${text.slice(1)}`
}
