/**
 * Which methods are tools, under which names, and what a language model is told of them. Methods without side effects are; methods that change
 * things are only when the contract or the server's owner says so.
 */
import { getOption, type DescMessage, type DescMethod } from "@bufbuild/protobuf"
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt"
import { createHash } from "node:crypto"
import type { Comments } from "../Comments.ts"
import * as Errors from "../Errors.ts"
import { mcp, Mcp } from "../gen/effect/kratos/v1/options_pb.ts"
import type { Json, Schema } from "../openapi/JsonSchema.ts"
import * as Schemas from "../openapi/Schemas.ts"
import { ruleOf } from "../rest/Binding.ts"
import type * as Service from "../Service.ts"
import * as Method from "../Method.ts"

export interface Tool {
  readonly name: string
  readonly method: DescMethod
  readonly description: string
  readonly inputSchema: Schema & { readonly type: "object" }
  /** Undefined for replies that are no objects in JSON. */
  readonly outputSchema: Schema | undefined
  readonly isReadOnly: boolean
  readonly isDestructive: boolean
  readonly isIdempotent: boolean
}

/** Longest name that clients agree on. */
const maxName = 64

/** The tools of `services`; `listed` are the operations, as `/pkg.Service/Method`, that the server's owner adds. */
export const make = (services: ReadonlyArray<Service.Any>, comments: Comments, listed: ReadonlySet<string>): ReadonlyArray<Tool> => {
  const tools: Array<Tool> = []
  const taken = new Set<string>()
  for (const service of services) {
    for (const method of service.descriptor.methods) {
      const effect = effectOf(method, listed)
      if (effect === undefined) continue
      // what the server sends it has not checked, so that only its shape is promised
      const input = root(method.input, Schemas.make({ prefix, comments, inputOnly: true }))
      const output = root(method.output, Schemas.make({ prefix, comments, rules: false }))
      // arguments are an object
      if (!isObject(input)) continue
      tools.push({
        name: nameOf(method, taken),
        method,
        description: describe(service, method, comments),
        inputSchema: input,
        outputSchema: isObject(output) ? output : undefined,
        ...effect
      })
    }
  }
  return tools
}

/** The operation that a user means by `pkg.Service.Method`, `pkg.Service/Method` or `/pkg.Service/Method`. */
export const operationOf = (name: string): string => {
  const plain = name.startsWith("/") ? name.slice(1) : name
  const cut = plain.includes("/") ? plain.indexOf("/") : plain.lastIndexOf(".")
  return `/${plain.slice(0, cut)}/${plain.slice(cut + 1)}`
}

type Effects = Pick<Tool, "isReadOnly" | "isDestructive" | "isIdempotent">

/** What a method does to the world; undefined when it is no tool. */
const effectOf = (method: DescMethod, listed: ReadonlySet<string>): Effects | undefined => {
  const said = getOption(method, mcp)
  if (method.methodKind !== "unary" || said === Mcp.HIDDEN) return undefined
  const verb = ruleOf(method)?.pattern.case
  const isReadOnly = said !== Mcp.DESTRUCTIVE && (method.idempotency === Idempotency.NO_SIDE_EFFECTS || verb === "get")
  const isListed = listed.has(Method.operationOf(method))
  if (said === Mcp.MCP_UNSPECIFIED && !isReadOnly && !isListed) return undefined
  return {
    isReadOnly,
    // of what nobody has said anything, the worst is assumed
    isDestructive: !isReadOnly && said !== Mcp.TOOL,
    isIdempotent: isReadOnly || method.idempotency === Idempotency.IDEMPOTENT || verb === "put" || verb === "delete"
  }
}

/** `pkg_Service_Method`, shortened to what clients take. */
const nameOf = (method: DescMethod, taken: Set<string>): string => {
  const full = `${method.parent.typeName.replaceAll(".", "_")}_${method.name}`
  const wanted = full.length <= maxName ? full : `${method.parent.name}_${method.name}`
  const isFree = wanted.length <= maxName && !taken.has(wanted)
  const mark = createHash("sha256").update(Method.operationOf(method)).digest("hex").slice(0, 8)
  const name = isFree ? wanted : `${wanted.slice(0, maxName - 9)}_${mark}`
  taken.add(name)
  return name
}

const prefix = "#/$defs/"

/** The schema of a message as a document of its own. */
const root = (desc: DescMessage, schemas: Schemas.Schemas): Schema => {
  const own = schemas.message(desc)
  if (!("$ref" in own)) return own
  const definitions: Record<string, Json> = Object.fromEntries(schemas.definitions)
  const schema = schemas.definitions.get(desc.typeName)!
  // the root is a definition only where it contains itself
  if (!JSON.stringify(definitions).includes(JSON.stringify(own["$ref"]))) delete definitions[desc.typeName]
  return Object.keys(definitions).length === 0 ? schema : { ...schema, $defs: definitions }
}

const isObject = (schema: Schema): schema is Schema & { readonly type: "object" } => schema["type"] === "object"

const describe = (service: Service.Any, method: DescMethod, comments: Comments): string => {
  const { name, typeName } = service.descriptor
  const reasons = Errors.errorsOf(service.errors, method.localName).map(({ code, reason }) => `${reason} (${code})`)
  return [
    comments[`${typeName}.${method.name}`] ?? `${method.name} of ${name}.`,
    ...(method.deprecated ? ["Deprecated."] : []),
    ...(reasons.length === 0 ? [] : [`Can fail with ${reasons.join(", ")}.`])
  ].join("\n\n")
}
