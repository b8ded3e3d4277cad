/**
 * How a client makes requests of a method's messages, by the primary binding of its HTTP rule: path variables in percent-encoding under either name of
 * their fields, the body, and all that is left as a query in the form that Kratos reads.
 */
import { type DescField, type DescMethod, type Message } from "@bufbuild/protobuf"
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect"
import * as KratosError from "@effect-kratos/core/error/KratosError"
import * as Result from "effect/Result"
import * as Codec from "../codec/Codec.ts"
import * as FormWriter from "../codec/FormWriter.ts"
import * as Json from "../codec/Json.ts"
import * as Text from "../codec/Text.ts"
import type { HttpBody } from "../gen/google/api/httpbody_pb.ts"
import * as Binding from "./Binding.ts"
import * as HttpBodies from "./HttpBodies.ts"
import * as PathTemplate from "./PathTemplate.ts"
import type { RestRuleError } from "./RestRuleError.ts"

export interface Body {
  readonly contentType: string
  readonly bytes: Uint8Array
}

export interface RequestPlan {
  readonly httpMethod: string
  readonly template: PathTemplate.PathTemplate
  /** The field that is the body, when that is one; on a WebSocket, the field that is a frame. */
  readonly bodyField: DescField | undefined
  /** Values of the path's variables. */
  readonly variables: (message: Message) => ReadonlyArray<string>
  /** Path and query. 400 when the path needs what the message has not. */
  readonly target: (message: Message, withQuery: boolean) => Result.Result<string, KratosError.KratosError>
  /** Undefined when the rule has no body. Fails as codecs do. */
  readonly body: ((message: Message, codec: Codec.Codec) => Result.Result<Body, KratosError.KratosError>) | undefined
  /** The message of a reply's body; `codec` is that of its type. */
  readonly reply: (
    bytes: Uint8Array,
    codec: Codec.Codec,
    contentType: string | undefined
  ) => Result.Result<Message, KratosError.KratosError>
}

/** Undefined for a method without a rule. */
export const make = (method: DescMethod): Result.Result<RequestPlan, RestRuleError> | undefined => {
  const rule = Binding.ruleOf(method)
  if (rule === undefined) return undefined
  return Result.map(Binding.plan(method, rule), ({ bodyField, httpMethod, replyField, template }) => {
    const whole = rule.body === "*"
    const paths = template.variables.map(({ path }) => Binding.fieldsOf(method.input, path)!) // the plan has checked them
    const values = paths.map(valueOf)
    const writeQuery = queries(method.input)
    const elsewhere = new Set(paths.map((fields) => fields.map((field) => field.jsonName).join(".")))
    if (bodyField !== undefined) elsewhere.add(bodyField.jsonName)

    const variables = (message: Message) => values.map((value) => value(reflect(method.input, message)))
    const target: RequestPlan["target"] = (message, withQuery) => {
      const path = PathTemplate.build(template, variables(message))
      if (Result.isFailure(path)) return Result.fail(Codec.malformed(`${method.name}: ${path.failure.message}`))
      if (whole || !withQuery) return Result.succeed(path.success)
      try {
        const query = writeQuery(message, elsewhere)
        return Result.succeed(query === "" ? path.success : `${path.success}?${query}`)
      } catch (cause) {
        return Result.fail(Codec.malformed(`the query of ${method.name} cannot be written`, cause))
      }
    }
    return {
      httpMethod: httpMethod === "*" ? (rule.body === "" ? "GET" : "POST") : httpMethod,
      template,
      bodyField,
      variables,
      target,
      body: whole ? wholeBody(method) : bodyField === undefined ? undefined : fieldBody(bodyField),
      reply: Binding.replyReader(method.output, replyField)
    }
  })
}

const queries = FormWriter.make()

/** The text of a field, however deep; empty when it has none. */
const valueOf = (fields: ReadonlyArray<DescField>): ((message: ReflectMessage) => string) => {
  const leaf = fields.at(-1)!
  const format = Text.formatter(leaf)
  return (message) => {
    let view = message
    for (const field of fields.slice(0, -1)) {
      if (field.fieldKind !== "message" || !view.isSet(field)) return ""
      view = view.get(field)
    }
    if (format === undefined || (leaf.fieldKind === "message" && !view.isSet(leaf))) return ""
    const value: unknown = view.get(leaf)
    const local = leaf.fieldKind === "message" ? heldIn(view.message, leaf) : value
    return format(local)
  }
}

/** What a message holds for a field, in the form in which the text of fields is made of it. */
const heldIn = (message: Message, field: DescField): unknown => {
  // a message is a record of its members
  const members = message as unknown as Readonly<Record<string, unknown>>
  return field.oneof === undefined ? members[field.localName] : (members[field.oneof.localName] as { readonly value?: unknown }).value
}

type MakeBody = NonNullable<RequestPlan["body"]>

const wholeBody = (method: DescMethod): MakeBody => {
  // the descriptor says that such a message is an HttpBody
  if (HttpBodies.is(method.input)) return (message) => Result.succeed(raw(message as HttpBody))
  return (message, codec) => Result.map(codec.encode(method.input, message), (bytes) => ({ contentType: codec.contentType, bytes }))
}

const fieldBody = (field: DescField): MakeBody => {
  if (field.fieldKind === "message" && HttpBodies.is(field.message)) {
    return (message) => Result.succeed(raw((reflect(field.parent, message).get(field) as ReflectMessage).message as HttpBody))
  }
  return (message, wanted) => {
    // `{}` would set it at the server; no body leaves it as it is here
    if (field.fieldKind === "message" && !reflect(field.parent, message).isSet(field))
      return Result.succeed({ contentType: wanted.contentType, bytes: new Uint8Array(0) })
    // only JSON has a place for a value that is not a message
    const codec = wanted.field === undefined && field.fieldKind !== "message" ? Json.protojson : wanted
    const bytes =
      codec.field !== undefined
        ? codec.field.encode(field, message)
        : codec.encode(field.message!, (reflect(field.parent, message).get(field) as ReflectMessage).message)
    return Result.map(bytes, (bytes) => ({ contentType: codec.contentType, bytes }))
  }
}

const raw = (message: HttpBody): Body => {
  const { body, contentType } = HttpBodies.reply(message)
  return { contentType, bytes: body }
}
