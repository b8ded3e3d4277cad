/**
 * Errors as `application/problem+json` (RFC 9457), for clients that name it in `Accept`: the type is `urn:reason:` and the reason, or `about:blank` without
 * one; `reason` and `metadata` are extension members. A document of another server's making is read leniently: members of a wrong type are not there.
 */
import { create, type DescMessage, type Message } from "@bufbuild/protobuf"
import { StatusSchema, type Status } from "../gen/errors/errors_pb.ts"
import process from "node:process"
import * as Codec from "./Codec.ts"
import * as Utf8 from "./Utf8.ts"

export const contentType = "application/problem+json"

const typePrefix = "urn:reason:"

/** For `errors.Status` alone: other messages do not encode. */
export const codec: Codec.Codec = {
  name: "problem+json",
  contentType,
  contentTypes: [contentType],
  encode: (schema, message) => Codec.encoding(() => Utf8.encode(write(statusOf(schema, message)))),
  // the schema is that of the message which `read` makes
  decode: (schema, bytes) => Codec.decoding("body unmarshal problem", () => read(schema, Utf8.decodeText(bytes)) as never)
}

const statusOf = (schema: DescMessage, message: Message): Status => {
  if (schema.typeName !== StatusSchema.typeName) throw new TypeError("only errors are problems")
  return message as Status
}

const write = ({ code, message, metadata, reason }: Status): string =>
  JSON.stringify({
    type: reason === "" ? "about:blank" : typePrefix + encodeURIComponent(reason.toWellFormed()),
    // a module that takes long to load, for those who have no server of HTTP yet
    title: process.getBuiltinModule("node:http").STATUS_CODES[code] ?? "Error",
    status: code,
    ...(message === "" ? undefined : { detail: message }),
    ...(reason === "" ? undefined : { reason }),
    ...(Object.keys(metadata).length === 0 ? undefined : { metadata })
  })

const read = (schema: DescMessage, text: string): Status => {
  if (schema.typeName !== StatusSchema.typeName) throw new Error("only errors are problems")
  const document: unknown = JSON.parse(text)
  if (typeof document !== "object" || document === null || Array.isArray(document)) throw new Error("expected an object")
  const members = new Map<string, unknown>(Object.entries(document))
  const textOf = (name: string): string => {
    const value = members.get(name)
    return typeof value === "string" ? value : ""
  }
  const status = members.get("status")
  const code = typeof status === "number" && Number.isInteger(status) && status >= 0 && status <= 999 ? status : 0
  const given = members.get("metadata")
  const metadata = Object.entries(typeof given === "object" && given !== null && !Array.isArray(given) ? given : {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string"
  )
  const message = textOf("detail") === "" ? textOf("title") : textOf("detail")
  return create(StatusSchema, {
    code,
    reason: textOf("reason") === "" ? reasonOf(textOf("type")) : textOf("reason"),
    message,
    metadata: Object.fromEntries(metadata)
  })
}

const reasonOf = (type: string): string => {
  if (!type.startsWith(typePrefix)) return ""
  try {
    return decodeURIComponent(type.slice(typePrefix.length))
  } catch {
    return ""
  }
}
