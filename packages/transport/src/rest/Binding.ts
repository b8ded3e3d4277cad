/**
 * Binds HTTP requests to the input of a method and its output to replies, by the method's `google.api.http` rule. Compiled once per route.
 *
 * The body is read first, then the query sets fields that neither path nor body bind, then the path sets its own and wins. Under body `*`
 * the query binds nothing. `google.api.HttpBody` is raw bytes in both directions. What does not bind is 400 `CODEC` and names the field;
 * a body of a type that nobody reads is 415.
 */
import { create, getOption, type DescField, type DescMessage, type DescMethod, type Message } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import type * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import { BadText } from "../codec/BadText.ts"
import * as Codec from "../codec/Codec.ts"
import * as Codecs from "../codec/Codecs.ts"
import * as FormReader from "../codec/FormReader.ts"
import * as Json from "../codec/Json.ts"
import * as QueryString from "../codec/QueryString.ts"
import { http } from "../gen/google/api/annotations_pb.ts"
import type { HttpRule } from "../gen/google/api/http_pb.ts"
import { HttpBodySchema, type HttpBody } from "../gen/google/api/httpbody_pb.ts"
import * as HttpBodies from "./HttpBodies.ts"
import * as PathTemplate from "./PathTemplate.ts"
import { RestRuleError } from "./RestRuleError.ts"
import { operationOf } from "../Method.ts"

/** What a server knows of a request once the router has found its route. */
export interface Input {
  /** As the router captured them. */
  readonly variables: ReadonlyArray<string>
  /** Raw, without the question mark; empty when there is none. */
  readonly query: string
  readonly contentType: string | undefined
  /** Bytes fields of the message may point into it: it must not be reused. */
  readonly body: Uint8Array | undefined
}

export interface Reply {
  readonly contentType: string
  readonly body: Uint8Array
}

/** One route of a method. */
export interface Binding {
  readonly method: DescMethod
  /** In upper case; `*` for every method. */
  readonly httpMethod: string
  readonly template: PathTemplate.PathTemplate
  /** What a request's body holds: the message, one field of it, or nothing. */
  readonly body: "*" | DescField | undefined
  /** The field that is the reply's body; the whole message when there is none. */
  readonly replyBody: DescField | undefined
  /** Fields, as paths of proto names, that the path or the body sets; the query sets the others, unless the body is the message. */
  readonly bound: ReadonlyArray<ReadonlyArray<string>>
  readonly bind: (input: Input) => Result.Result<Message, KratosError.KratosError>
  /** Takes a message or the initialiser of one, as handlers return them. */
  readonly respond: (reply: Message | object, accept: string | undefined) => Result.Result<Reply, KratosError.KratosError>
}

export interface Options {
  /** Default `Codecs.standard`. */
  readonly codecs?: Codecs.Codecs | undefined
}

/** The rule that a method carries. */
export const ruleOf = (method: DescMethod): HttpRule | undefined => {
  const rule = getOption(method, http)
  return rule.pattern.case === undefined && rule.selector === "" && rule.body === "" && rule.additionalBindings.length === 0
    ? undefined
    : rule
}

/** The routes of a method by the rule it carries; none when it carries no rule. */
export const fromMethod = (method: DescMethod, options?: Options): Result.Result<ReadonlyArray<Binding>, RestRuleError> => {
  const rule = ruleOf(method)
  return rule === undefined ? Result.succeed([]) : compile(method, rule, options)
}

/**
 * The routes of a rule: its own and those of its additional bindings, whose own additional bindings do not count. Methods to which the
 * client streams have none: they are not a request and a reply.
 */
export const compile = (
  method: DescMethod,
  rule: HttpRule,
  options: Options = {}
): Result.Result<ReadonlyArray<Binding>, RestRuleError> => {
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") return Result.succeed([])
  const { codecs = Codecs.standard } = options
  return Result.all([rule, ...rule.additionalBindings].map((rule) => route(method, rule, codecs)))
}

/** A rule checked against the messages of its method. */
export interface Plan {
  readonly httpMethod: string
  readonly template: PathTemplate.PathTemplate
  readonly bodyField: DescField | undefined
  readonly replyField: DescField | undefined
  /** Sets the field of each variable of the template, in its order. */
  readonly setters: ReadonlyArray<{ readonly name: string; readonly set: FormReader.FieldSetter }>
  /** Fields, as paths of proto names, that the body or the path sets. */
  readonly elsewhere: ReadonlyArray<ReadonlyArray<string>>
}

export const plan = (method: DescMethod, rule: HttpRule): Result.Result<Plan, RestRuleError> => {
  const [httpMethod, source] = pattern(method, rule)
  const fail = (message: string) =>
    Result.fail(new RestRuleError({ method: `${method.parent.typeName}.${method.name}`, template: source, message }))

  const parsed = PathTemplate.parse(source)
  if (Result.isFailure(parsed)) return fail(parsed.failure.message)
  const template = parsed.success
  if (httpMethod !== "*" && !/^[A-Z][A-Z-]*$/.test(httpMethod)) return fail(`"${httpMethod}" is not an HTTP method`)

  const bodyField = rule.body === "" || rule.body === "*" ? undefined : fieldOf(method.input, rule.body)
  if (rule.body !== "" && rule.body !== "*" && bodyField === undefined)
    return fail(`${method.input.typeName} has no field "${rule.body}" for the body`)
  const replyField = rule.responseBody === "" || rule.responseBody === "*" ? undefined : fieldOf(method.output, rule.responseBody)
  if (rule.responseBody !== "" && rule.responseBody !== "*" && replyField === undefined) {
    return fail(`${method.output.typeName} has no field "${rule.responseBody}" for the reply's body`)
  }

  const setters: Array<{ readonly name: string; readonly set: FormReader.FieldSetter }> = []
  const elsewhere: Array<ReadonlyArray<string>> = bodyField === undefined ? [] : [[bodyField.name]]
  for (const { name, path } of template.variables) {
    const fields = fieldsOf(method.input, path)
    if (fields === undefined) return fail(`${method.input.typeName} has no field "${name}" for the path`)
    const set = FormReader.setter(method.input, path)
    if (set === undefined) return fail(`the field "${name}" cannot be bound by a path: a path holds one value of text`)
    setters.push({ name, set })
    elsewhere.push(fields.map((field) => field.name))
  }
  return Result.succeed({ httpMethod, template, bodyField, replyField, setters, elsewhere })
}

/** Sets the fields that the query and the path bind; 400 `CODEC` says which does not fit. */
export const overlay = (
  message: Message,
  { setters }: Plan,
  readQuery: FormReader.FormReader | undefined,
  query: string,
  variables: ReadonlyArray<string>
): Result.Result<Message, KratosError.KratosError> => {
  let place = "query"
  try {
    if (readQuery !== undefined && query !== "") readQuery(message, query)
    for (let index = 0; index < setters.length; index++) {
      const setter = setters[index]!
      place = `path "${setter.name}"`
      setter.set(message, variables[index]!)
    }
  } catch (error) {
    if (error instanceof BadText || error instanceof QueryString.BadEncoding)
      return Result.fail(Codec.malformed(`${place}: ${error.message}`))
    throw error
  }
  return Result.succeed(message)
}

const route = (method: DescMethod, rule: HttpRule, codecs: Codecs.Codecs): Result.Result<Binding, RestRuleError> => {
  const planned = plan(method, rule)
  if (Result.isFailure(planned)) return Result.fail(planned.failure)
  const { bodyField, elsewhere, httpMethod, replyField, template } = planned.success
  const readBody =
    rule.body === "*" ? whole(method.input, codecs) : bodyField === undefined ? undefined : part(method.input, bodyField, codecs)
  const readQuery = rule.body === "*" ? undefined : FormReader.compile(method.input, elsewhere)
  const bind = (input: Input): Result.Result<Message, KratosError.KratosError> => {
    let message: Message
    if (readBody !== undefined && input.body !== undefined && input.body.length > 0) {
      const body = readBody(input.body, input.contentType)
      if (Result.isFailure(body)) return body
      message = body.success
    } else message = create(method.input)
    return overlay(message, planned.success, readQuery, input.query, input.variables)
  }

  const write = replyField === undefined ? writeWhole(method.output, codecs) : writePart(replyField, codecs)
  const respond = (reply: Message | object, accept: string | undefined): Result.Result<Reply, KratosError.KratosError> => {
    let message: Message
    try {
      // an initialiser is the handler's word; what does not fit the contract shows when it is written
      message = create(method.output, reply as Message)
    } catch (cause) {
      return Result.fail(Codec.unencodable(cause))
    }
    return write(message, accept)
  }
  const body = rule.body === "*" ? "*" : bodyField
  return Result.succeed({ method, httpMethod, template, body, replyBody: replyField, bound: elsewhere, bind, respond })
}

/** HTTP method and path of a rule; without a pattern, Kratos serves the operation itself by `POST`. */
const pattern = (method: DescMethod, rule: HttpRule): readonly [method: string, path: string] => {
  switch (rule.pattern.case) {
    case undefined:
      return ["POST", operationOf(method)]
    case "custom":
      return [rule.pattern.value.kind.toUpperCase(), rule.pattern.value.path]
    default:
      return [rule.pattern.case.toUpperCase(), rule.pattern.value]
  }
}

const fieldOf = (schema: DescMessage, name: string): DescField | undefined =>
  schema.fields.find((field) => field.name === name) ?? schema.fields.find((field) => field.jsonName === name)

/** The fields on a path of names; undefined when there is no such path. */
export const fieldsOf = (schema: DescMessage, path: ReadonlyArray<string>): ReadonlyArray<DescField> | undefined => {
  const fields: Array<DescField> = []
  let next: DescMessage | undefined = schema
  for (const name of path) {
    const field: DescField | undefined = next === undefined ? undefined : fieldOf(next, name)
    if (field === undefined) return undefined
    fields.push(field)
    next = field.message
  }
  return fields
}

/** Reads the reply's body as a client: the message, or one with only the field that is the body. */
export const replyReader = (
  schema: DescMessage,
  field: DescField | undefined
): ((bytes: Uint8Array, codec: Codec.Codec, contentType: string | undefined) => Result.Result<Message, KratosError.KratosError>) => {
  if (field === undefined)
    return HttpBodies.is(schema)
      ? (bytes, _, contentType) => Result.succeed(HttpBodies.make(bytes, contentType))
      : (bytes, codec) => codec.decode(schema, bytes)
  return (bytes, codec, contentType) => {
    const message = create(schema)
    const set = (value: Message) => {
      reflect(schema, message).set(field, reflect(field.message!, value))
      return message
    }
    if (field.fieldKind === "message" && HttpBodies.is(field.message)) return Result.succeed(set(HttpBodies.make(bytes, contentType)))
    if (codec.field !== undefined) return Result.map(codec.field.decode(field, message, bytes), () => message)
    if (field.fieldKind !== "message") return Result.fail(Codecs.unsupported(contentType ?? ""))
    return Result.map(codec.decode(field.message, bytes), set)
  }
}

type ReadBody = (body: Uint8Array, contentType: string | undefined) => Result.Result<Message, KratosError.KratosError>
type Write = (message: Message, accept: string | undefined) => Result.Result<Reply, KratosError.KratosError>

const whole = (schema: DescMessage, codecs: Codecs.Codecs): ReadBody => {
  if (HttpBodies.is(schema)) return (body, contentType) => Result.succeed(HttpBodies.make(body, contentType))
  return (body, contentType) => {
    const codec = codecs.forBody(contentType)
    return Result.isFailure(codec) ? Result.fail(codec.failure) : codec.success.decode(schema, body)
  }
}

const part = (schema: DescMessage, field: DescField, codecs: Codecs.Codecs): ReadBody => {
  if (HttpBodies.is(field.message) && field.fieldKind === "message") {
    return (body, contentType) => {
      const message = create(schema)
      reflect(schema, message).set(field, reflect(HttpBodySchema, HttpBodies.make(body, contentType)))
      return Result.succeed(message)
    }
  }
  return (body, contentType) => {
    const codec = codecs.forBody(contentType)
    if (Result.isFailure(codec)) return Result.fail(codec.failure)
    const message = create(schema)
    if (codec.success.field !== undefined) return Result.map(codec.success.field.decode(field, message, body), () => message)
    if (field.fieldKind !== "message") return Result.fail(Codecs.unsupported(contentType ?? ""))
    return Result.map(codec.success.decode(field.message, body), (value) => {
      reflect(schema, message).set(field, reflect(field.message, value))
      return message
    })
  }
}

const writeWhole = (schema: DescMessage, codecs: Codecs.Codecs): Write => {
  // the descriptor says that such a message is an HttpBody
  if (HttpBodies.is(schema)) return (message) => Result.succeed(HttpBodies.reply(message as HttpBody))
  return (message, accept) => {
    const codec = codecs.forReply(accept)
    const body = codec.encode(schema, message)
    return Result.isFailure(body) ? Result.fail(body.failure) : Result.succeed({ contentType: codec.contentType, body: body.success })
  }
}

const writePart = (field: DescField, codecs: Codecs.Codecs): Write => {
  if (HttpBodies.is(field.message) && field.fieldKind === "message") {
    return (message) => Result.succeed(HttpBodies.reply((reflect(field.parent, message).get(field) as ReflectMessage).message as HttpBody))
  }
  const byDefault = codecs.forReply(undefined)
  const fallback = byDefault.field === undefined ? Json.json : byDefault
  return (message, accept) => {
    let codec = codecs.forReply(accept)
    // only some formats have a place for a value that is not a message
    if (codec.field === undefined && field.fieldKind !== "message") codec = fallback
    const body =
      codec.field !== undefined
        ? codec.field.encode(field, message)
        : codec.encode(field.message!, (reflect(field.parent, message).get(field) as ReflectMessage).message)
    return Result.isFailure(body) ? Result.fail(body.failure) : Result.succeed({ contentType: codec.contentType, body: body.success })
  }
}
