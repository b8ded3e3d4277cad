/** One route of a method as an operation of an OpenAPI document: what it takes, what it answers, how it fails. */
import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf"
import type { Comments } from "../Comments.ts"
import * as Errors from "../Errors.ts"
import type { Binding } from "../rest/Binding.ts"
import * as HttpBodies from "../rest/HttpBodies.ts"
import type * as Service from "../Service.ts"
import type { MediaTypes, Operation, Response } from "./Document.ts"
import * as JsonSchema from "./JsonSchema.ts"
import type { Json, Schema } from "./JsonSchema.ts"
import * as Parameters from "./Parameters.ts"
import type * as Paths from "./Paths.ts"
import type { Schemas } from "./Schemas.ts"

export interface Route {
  readonly service: Service.Any
  readonly binding: Binding
  readonly path: Paths.Path
  /** The names of the path's parameters in the document. */
  readonly names: ReadonlyArray<string>
  readonly operationId: string
}

export const errorName = "KratosError"

/** The body of every error. */
export const errorSchema: Schema = {
  type: "object",
  description: "An error. Programs look at `code` and `reason`; `message` is for people.",
  properties: {
    code: { type: "integer", format: "int32", description: "The HTTP status." },
    reason: { type: "string", description: "What went wrong, by name; empty when it has none." },
    message: { type: "string" },
    metadata: { type: "object", additionalProperties: { type: "string" } }
  },
  required: ["code", "reason", "message", "metadata"]
}

/** Any failure that the contract does not name: input that cannot be read, a deadline, a limit, a defect. */
export const errorResponse: Response = {
  description: "The call failed.",
  content: { "application/json": { schema: { $ref: `#/components/schemas/${errorName}` } } }
}

export const make = (route: Route, schemas: Schemas, comments: Comments): Operation => {
  const { binding, operationId, service } = route
  const { method } = binding
  const text = comments[`${method.parent.typeName}.${method.name}`]
  const parameters = [...Parameters.ofPath(binding, route.path, route.names, schemas), ...Parameters.ofQuery(binding, schemas)]
  const body = bodyOf(binding, schemas)
  return {
    operationId,
    tags: [service.descriptor.typeName],
    ...(text === undefined ? {} : { summary: summaryOf(text), description: text }),
    ...(method.deprecated || method.parent.deprecated ? { deprecated: true } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      "200": success(binding, schemas),
      ...failures(service, method.localName, comments),
      default: { $ref: "#/components/responses/Error" }
    }
  }
}

/** One route of a method to which the client streams: the opening of a WebSocket, and what its frames hold. */
export const webSocket = (
  { names, operationId, path, service }: Omit<Route, "binding">,
  method: DescMethod,
  schemas: Schemas,
  comments: Comments
): Operation => {
  const { output } = method
  const text = comments[`${method.parent.typeName}.${method.name}`]
  const replies = method.methodKind === "bidi_streaming" ? "each frame that comes back is one" : "the one frame that comes back is a"
  const how = `Opens a WebSocket. Each text frame that you send is one \`${method.input.typeName}\`; ${replies} \`${output.typeName}\`.`
  return {
    operationId,
    tags: [service.descriptor.typeName],
    ...(text === undefined ? {} : { summary: summaryOf(text) }),
    description: text === undefined ? how : `${text}\n\n${how}`,
    ...(method.deprecated || method.parent.deprecated ? { deprecated: true } : {}),
    ...(path.parameters.length === 0
      ? {}
      : {
          parameters: path.parameters.map((_, index) => ({
            name: names[index]!,
            in: "path" as const,
            required: true,
            schema: { type: "string" }
          }))
        }),
    responses: {
      "101": { description: "The WebSocket is open." },
      "426": { description: "The request asks for no WebSocket." },
      default: { $ref: "#/components/responses/Error" }
    },
    "x-websocket": { send: schemas.message(method.input), receive: schemas.message(output) }
  }
}

/** The first sentence, without its full stop. */
const summaryOf = (text: string): string => {
  const line = text.split("\n\n")[0]!.replaceAll("\n", " ")
  const sentence = /^(.+?)\.(?:\s|$)/s.exec(line)?.[1] ?? line
  return sentence.length > 120 ? `${sentence.slice(0, 119)}…` : sentence
}

const bodyOf = ({ body, bound, method }: Binding, schemas: Schemas): Operation["requestBody"] => {
  if (body === undefined) return undefined
  if (body === "*") {
    if (HttpBodies.is(method.input)) return { required: false, content: media(method.input, {}) }
    const schema = schemas.message(method.input, bound)
    return { required: hasRequired(schema, method.input, schemas), content: media(method.input, schema) }
  }
  // what the path sets inside of the field is not the body's
  const inside = bound.filter((path) => path.length > 1 && path[0] === body.name).map((path) => path.slice(1))
  if (HttpBodies.is(single(body))) return { required: false, content: media(single(body), {}) }
  const { isRequired, schema } = schemas.field(body, inside)
  return { required: isRequired, content: media(single(body), schema) }
}

const hasRequired = (schema: Schema, desc: DescMessage, schemas: Schemas): boolean =>
  "$ref" in schema ? "required" in (schemas.definitions.get(desc.typeName) ?? {}) : "required" in schema

const single = (field: DescField): DescMessage | undefined => (field.fieldKind === "message" ? field.message : undefined)

const media = (desc: DescMessage | undefined, schema: Schema): MediaTypes =>
  HttpBodies.is(desc) ? { "application/octet-stream": { schema: JsonSchema.binary } } : { "application/json": { schema } }

const success = (binding: Binding, schemas: Schemas): Response => {
  const { httpMethod, method, replyBody } = binding
  if (httpMethod === "HEAD") return { description: "It is there." }
  const desc = replyBody === undefined ? method.output : single(replyBody)
  if (HttpBodies.is(desc)) return { description: "Bytes, under their own content type.", content: { "*/*": { schema: JsonSchema.binary } } }
  const schema = replyBody === undefined ? schemas.message(method.output) : schemas.field(replyBody).schema
  if (method.methodKind === "server_streaming") {
    return {
      description: "Server-sent events. The data of each is one message, or the error that ends the stream.",
      content: { "text/event-stream": { schema } }
    }
  }
  return { description: "Done.", content: { "application/json": { schema } } }
}

/** A response for each status that a reason of the method has. */
const failures = (service: Service.Any, localName: string, comments: Comments): Readonly<Record<string, Response>> => {
  const byCode = new Map<number, Array<string>>()
  for (const { code, reason } of Errors.errorsOf(service.errors, localName)) {
    const reasons = byCode.get(code) ?? []
    if (!reasons.includes(reason)) byCode.set(code, [...reasons, reason])
  }
  const responses: Record<string, Response> = {}
  for (const [code, reasons] of [...byCode].sort(([a], [b]) => a - b)) {
    const examples: Record<string, Json> = {}
    for (const reason of reasons) {
      const text = commentOf(reason, service, comments)
      examples[reason] = {
        ...(text === undefined ? {} : { summary: text.split("\n")[0]! }),
        value: { code, reason, message: text?.replaceAll("\n", " ") ?? "", metadata: {} }
      }
    }
    responses[String(code)] = {
      description: reasons
        .map((reason) => {
          const text = commentOf(reason, service, comments)
          return `\`${reason}\`${text === undefined ? "" : `: ${text.replaceAll("\n", " ")}`}`
        })
        .join("\n\n"),
      content: {
        "application/json": {
          schema: {
            allOf: [
              { $ref: `#/components/schemas/${errorName}` },
              { type: "object", properties: { code: { type: "integer", enum: [code] }, reason: open(reasons) } }
            ]
          },
          examples
        }
      }
    }
  }
  return responses
}

/** What aspects and the framework raise under the same status has other reasons. */
const open = (reasons: ReadonlyArray<string>): Schema => ({ anyOf: [{ type: "string", enum: reasons }, { type: "string" }] })

/** A reason is a value of an enum, of the service's own package or another. */
const commentOf = (reason: string, service: Service.Any, comments: Comments): string | undefined => {
  const packageName = service.descriptor.file.proto.package
  const own = comments[packageName === "" ? reason : `${packageName}.${reason}`]
  if (own !== undefined) return own
  const other = Object.keys(comments).find((name) => name.endsWith(`.${reason}`))
  return other === undefined ? undefined : comments[other]
}
