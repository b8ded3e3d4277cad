/**
 * Checks the `google.api.http` rules of a contract and says what is wrong with them; the routes themselves are compiled at run time.
 * The findings are those of Kratos' generator: a rule that names a missing field is an error, an unusual one a warning.
 */
import { getOption, hasOption } from "@bufbuild/protobuf"
import type { DescField, DescMessage, DescMethod } from "@bufbuild/protobuf"
import type * as Diagnostics from "./Diagnostics.ts"
import { http } from "./gen/google/api/annotations_pb.ts"
import type { HttpRule } from "./gen/google/api/http_pb.ts"
import * as PathTemplate from "./PathTemplate.ts"

export const check = (method: DescMethod, diagnostics: Diagnostics.Diagnostics): void => {
  if (!hasOption(method, http)) return
  const place = { file: method.parent.file, name: `${method.parent.typeName}.${method.name}` }
  const rule = getOption(method, http)
  checkRule(method, rule, place, diagnostics)
  for (const additional of rule.additionalBindings) {
    checkRule(method, additional, place, diagnostics)
    if (additional.additionalBindings.length > 0) diagnostics.warn(place, "additional_bindings inside of additional_bindings are ignored")
  }
}

const checkRule = (method: DescMethod, rule: HttpRule, place: Diagnostics.Place, diagnostics: Diagnostics.Diagnostics): void => {
  const { path, verb } = patternOf(rule)
  if (path !== undefined) checkPath(method.input, path, place, diagnostics)
  checkBody(method, rule.body, verb, place, diagnostics)
  checkField(method.output, rule.responseBody, "response_body", place, diagnostics)
}

/** A rule without a pattern is a POST to the operation's own path. */
const patternOf = (rule: HttpRule): { readonly verb: string; readonly path: string | undefined } => {
  const { pattern } = rule
  if (pattern.case === undefined) return { verb: "POST", path: undefined }
  return pattern.case === "custom"
    ? { verb: pattern.value.kind, path: pattern.value.path }
    : { verb: pattern.case.toUpperCase(), path: pattern.value }
}

const checkBody = (
  method: DescMethod,
  body: string,
  verb: string,
  place: Diagnostics.Place,
  diagnostics: Diagnostics.Diagnostics
): void => {
  checkField(method.input, body, "body", place, diagnostics)
  // such a method is a WebSocket; its messages are frames, whatever the rule says of a body
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") return
  if (body !== "" && (verb === "GET" || verb === "DELETE")) diagnostics.warn(place, `a ${verb} request should have no body`)
  if (body === "" && (verb === "PUT" || verb === "POST" || verb === "PATCH"))
    diagnostics.warn(place, `a ${verb} request without body takes all its fields from the query; did you mean body: "*"?`)
}

const checkField = (
  message: DescMessage,
  name: string,
  what: string,
  place: Diagnostics.Place,
  diagnostics: Diagnostics.Diagnostics
): void => {
  if (name === "" || name === "*") return
  if (fieldOf(message, name) === undefined) diagnostics.error(place, `${what} names ${name}, but ${missing(message, name)}`)
}

const checkPath = (input: DescMessage, path: string, place: Diagnostics.Place, diagnostics: Diagnostics.Diagnostics): void => {
  const parsed = PathTemplate.variables(path)
  if (parsed.kind === "malformed") return diagnostics.error(place, `path ${path} is malformed: ${parsed.why}`)
  if (path.length > 1 && path.endsWith("/")) diagnostics.warn(place, `path ${path} ends with a slash, which callers rarely send`)
  for (const variable of parsed.names) checkVariable(input, variable, place, diagnostics)
}

const checkVariable = (input: DescMessage, variable: string, place: Diagnostics.Place, diagnostics: Diagnostics.Diagnostics): void => {
  const names = variable.split(".")
  let message: DescMessage | undefined = input
  for (const [index, name] of names.entries()) {
    if (message === undefined)
      return diagnostics.error(place, `path variable ${variable} goes into ${names.slice(0, index).join(".")}, which is no message`)
    const field = fieldOf(message, name)
    if (field === undefined) return diagnostics.error(place, `path variable ${variable} names ${name}, but ${missing(message, name)}`)
    if (field.fieldKind === "list" || field.fieldKind === "map")
      diagnostics.warn(place, `path variable ${variable} binds a ${field.fieldKind}, but a path has one value for it`)
    message = field.fieldKind === "message" ? field.message : undefined
  }
}

const fieldOf = (message: DescMessage, name: string): DescField | undefined => message.fields.find((field) => field.name === name)

const missing = (message: DescMessage, name: string): string => {
  const meant = message.fields.find((field) => field.jsonName === name)
  return `${message.typeName} has no such field${meant === undefined ? "" : `; its proto name is ${meant.name}`}`
}
