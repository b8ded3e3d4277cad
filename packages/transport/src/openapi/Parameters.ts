/** The parameters of a route: what its path holds, and what a query may set besides. */
import type { DescField, DescMessage } from "@bufbuild/protobuf"
import * as Text from "../codec/Text.ts"
import type { Binding } from "../rest/Binding.ts"
import type { Json, Schema } from "./JsonSchema.ts"
import * as JsonSchema from "./JsonSchema.ts"
import * as Paths from "./Paths.ts"
import type { Schemas } from "./Schemas.ts"

export interface Parameter {
  readonly name: string
  readonly in: "path" | "query"
  readonly required?: boolean
  readonly [key: string]: Json | undefined
}

/** Levels of messages below which a query is not described. */
const maxDepth = 5
/** Most parameters of one query. */
const maxParameters = 200

/** The parameters of a path, by the names of `path`; `names` replaces them, in order. */
export const ofPath = (binding: Binding, path: Paths.Path, names: ReadonlyArray<string>, schemas: Schemas): ReadonlyArray<Parameter> => {
  const named = path.parameters.map((parameter, index) => ({ ...parameter, name: names[index] ?? parameter.name }))
  return named.map((parameter) => pathParameter(binding, parameter, named, schemas))
}

const pathParameter = (
  { method, template }: Binding,
  { isRest, isWhole, name, variable }: Paths.Parameter,
  all: ReadonlyArray<Paths.Parameter>,
  schemas: Schemas
): Parameter => {
  const field = variable === undefined ? undefined : fieldAt(method.input, variable.path)
  const known = field === undefined ? undefined : schemas.field(field).schema
  const description = known?.["description"]
  // a part of a value has another form than the whole
  const schema: Schema = isWhole && known !== undefined ? omit(known, "description") : { type: "string" }
  const text = [
    typeof description === "string" ? description : undefined,
    isWhole || variable === undefined ? undefined : `\`${variable.name}\` is \`${Paths.pattern(template, variable, all)}\`.`,
    isRest ? "The rest of the path, slashes included." : undefined
  ].filter((one) => one !== undefined)
  return {
    name,
    in: "path",
    required: true,
    ...(text.length === 0 ? {} : { description: text.join("\n\n") }),
    schema: isRest || isWhole ? schema : { ...schema, pattern: "^[^/]+$" }
  }
}

/** The parameters of the query: every field that neither path nor body sets, as far as a query can be described. */
export const ofQuery = (binding: Binding, schemas: Schemas): ReadonlyArray<Parameter> => {
  if (binding.body === "*") return []
  const found: Array<Parameter> = []
  const bound = new Set(binding.bound.map((path) => path.join(".")))
  const visit = (desc: DescMessage, names: string, path: string, isRequired: boolean, above: ReadonlyArray<DescMessage>): void => {
    for (const field of desc.fields) {
      const [name, at] = [names + field.jsonName, path + field.name]
      if (bound.has(at) || found.length >= maxParameters) continue
      const one = schemas.field(field)
      const required = isRequired && one.isRequired
      const parameter = describe(field, name, one.schema, required)
      if (parameter !== undefined) found.push(parameter)
      else if (field.fieldKind === "message" && isPlain(field.message) && above.length < maxDepth && !above.includes(field.message))
        visit(field.message, `${name}.`, `${at}.`, required, [...above, field.message])
    }
  }
  visit(binding.method.input, "", "", true, [binding.method.input])
  return found
}

/** One field as one parameter; undefined where it is none. */
const describe = (field: DescField, name: string, schema: Schema, required: boolean): Parameter | undefined => {
  const { deprecated, description, ...rest } = schema
  const head = {
    name,
    in: "query" as const,
    ...(required ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    ...(deprecated === undefined ? {} : { deprecated })
  }
  if (field.fieldKind === "map") {
    // `labels[key]=value`
    return field.message === undefined ? { ...head, style: "deepObject", explode: true, schema: rest } : undefined
  }
  if (field.message?.typeName === "google.protobuf.Struct") {
    return field.fieldKind === "list" ? undefined : { ...head, content: { "application/json": { schema: rest } } }
  }
  // a value would be text, whatever it looks like
  if (field.message?.typeName === "google.protobuf.Value") return undefined
  return Text.formatter(field) === undefined ? undefined : { ...head, schema: rest }
}

const isPlain = (desc: DescMessage): boolean => JsonSchema.wellKnown(desc) === undefined

const fieldAt = (desc: DescMessage, path: ReadonlyArray<string>): DescField | undefined => {
  let next: DescMessage | undefined = desc
  let found: DescField | undefined
  for (const name of path) {
    found = next?.fields.find((field) => field.name === name) ?? next?.fields.find((field) => field.jsonName === name)
    next = found?.message
  }
  return found
}

const omit = (schema: Schema, keyword: string): Schema => Object.fromEntries(Object.entries(schema).filter(([name]) => name !== keyword))
