/**
 * Path templates of `google.api.http` as paths of OpenAPI. There a parameter holds one segment and clients encode its slashes, so a variable over
 * several segments becomes its literals and a parameter for each of its wildcards, named after the literal before it: `{name=shelves/*}` is `/shelves/{shelves_id}`.
 */
import { percentEncode } from "../codec/QueryString.ts"
import type { PathTemplate, Variable } from "../rest/PathTemplate.ts"

/** A wildcard of a template. */
export interface Parameter {
  readonly name: string
  /** The variable that it is all or part of; undefined for a wildcard outside of variables. */
  readonly variable: Variable | undefined
  /** False where the variable has other segments beside it. */
  readonly isWhole: boolean
  /** Any number of segments, none included. */
  readonly isRest: boolean
}

export interface Path {
  readonly path: string
  /** The path without names, by which two templates are the same. */
  readonly shape: string
  readonly parameters: ReadonlyArray<Parameter>
}

export const make = (template: PathTemplate): Path => {
  const parameters: Array<Parameter> = []
  const taken = new Set<string>()
  const claim = (wanted: string): string => {
    let name = wanted
    for (let next = 2; taken.has(name); next++) name = `${wanted}_${next}`
    taken.add(name)
    return name
  }
  let path = ""
  let shape = ""
  for (const [index, segment] of template.segments.entries()) {
    if (segment.kind === "literal") {
      const text = `/${percentEncode(segment.text)}`
      path += text
      shape += text
      continue
    }
    const variable = template.variables.find(({ end, start }) => start <= index && index < end)
    const before = variable === undefined || index === variable.start ? undefined : template.segments[index - 1]
    const isNamed = before?.kind === "literal" && /^\w+$/.test(before.text)
    const name = claim(isNamed ? `${before.text}_id` : (variable?.name ?? "wildcard"))
    const isWhole = variable !== undefined && variable.end - variable.start === 1
    parameters.push({ name, variable, isWhole, isRest: segment.kind === "rest" })
    path += `/{${name}}`
    shape += "/{}"
  }
  const verb = template.verb === undefined ? "" : `:${percentEncode(template.verb)}`
  return { path: (path === "" ? "/" : path) + verb, shape: (shape === "" ? "/" : shape) + verb, parameters }
}

/** How the value of a variable is made of its parameters: `shelves/{shelves_id}/books/{books_id}`. */
export const pattern = (template: PathTemplate, variable: Variable, parameters: ReadonlyArray<Parameter>): string => {
  const names = parameters.filter((parameter) => parameter.variable === variable).map(({ name }) => `{${name}}`)
  return template.segments
    .slice(variable.start, variable.end)
    .map((segment) => (segment.kind === "literal" ? segment.text : names.shift()))
    .join("/")
}
