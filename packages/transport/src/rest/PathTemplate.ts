/**
 * Path templates of `google.api.http`: literals, `*`, `**`, variables over one or several segments, and a verb behind a colon.
 *
 * A template describes the raw, still encoded path, so an encoded slash never splits a segment. A variable of one segment is decoded in
 * full; one of several keeps `%2F`, because decoded it could not be told from a separator. Beyond the grammar of the annotation we take what
 * Kratos takes: the root path, one trailing slash, and white space inside braces.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { percentEncode as escape } from "../codec/QueryString.ts"

/** A template that does not parse, or a path that cannot be built from it. `position` counts UTF-16 units from the start of the template. */
export class PathTemplateError extends Schema.TaggedError<PathTemplateError>("@effect-kratos/transport/rest/PathTemplateError")(
  "PathTemplateError",
  {
    template: Schema.String,
    position: Schema.Int,
    message: Schema.String
  }
) {}

/** What one segment of a path must be. `rest` is `**`: any number of segments, none included. */
export interface Segment {
  readonly kind: "literal" | "one" | "rest"
  /** Decoded text of a literal; empty otherwise. A trailing slash is a last literal without text. */
  readonly text: string
  /** False for a wildcard outside of braces, which yields to a variable at the same place. */
  readonly bound: boolean
}

/** A variable covers the segments from `start` up to, without, `end`. */
export interface Variable {
  /** The field path as written: `book.name`. */
  readonly name: string
  readonly path: ReadonlyArray<string>
  readonly start: number
  readonly end: number
  /** Whether it may hold slashes of its own. */
  readonly multi: boolean
}

export interface PathTemplate {
  readonly source: string
  readonly segments: ReadonlyArray<Segment>
  readonly variables: ReadonlyArray<Variable>
  /** Text behind the last colon, decoded; undefined when there is none. */
  readonly verb: string | undefined
}

/** Parses a template; says where it goes wrong. */
export const parse = (source: string): Result.Result<PathTemplate, PathTemplateError> => {
  try {
    return Result.succeed(new Parser(source).template())
  } catch (error) {
    if (error instanceof PathTemplateError) return Result.fail(error)
    throw error
  }
}

/**
 * Builds the path of a request: one value per variable, in the order of `template.variables`. Fails when a value does not have the form
 * that its variable asks for, and for wildcards outside of variables, whose text nobody knows.
 */
export const build = (template: PathTemplate, values: ReadonlyArray<string>): Result.Result<string, PathTemplateError> => {
  const fail = (message: string) => Result.fail(new PathTemplateError({ template: template.source, position: 0, message }))
  let path = ""
  let at = 0
  for (const [index, variable] of template.variables.entries()) {
    const value = values[index]
    if (value === undefined) return fail(`no value for "${variable.name}"`)
    const before = literals(template, at, variable.start)
    if (before === undefined) return fail("a wildcard outside of a variable has no value")
    if (!accepts(template, variable, value)) return fail(`the value of "${variable.name}" does not fit its pattern`)
    // a rest that is empty leaves no slash behind, except where it is all there is
    path +=
      before + (value === "" && variable.start > 0 ? "" : "/") + (variable.multi ? value.split("/").map(escape).join("/") : escape(value))
    at = variable.end
  }
  const tail = literals(template, at, template.segments.length)
  if (tail === undefined) return fail("a wildcard outside of a variable has no value")
  // a rest without segments is all there is
  const whole = path + tail === "" ? "/" : path + tail
  return Result.succeed(whole + (template.verb === undefined ? "" : `:${escape(template.verb)}`))
}

/** Decodes the raw text of a variable; undefined when its percent-encoding is broken. */
export const decode = (raw: string, multi: boolean): string | undefined => {
  if (!raw.includes("%")) return raw
  try {
    return decodeURIComponent(multi ? raw.replaceAll(/%2[Ff]/g, (slash) => `%25${slash.slice(1)}`) : raw)
  } catch {
    return undefined
  }
}

/** The path of the literal segments in a range; undefined when a wildcard is among them. */
const literals = (template: PathTemplate, start: number, end: number): string | undefined => {
  let text = ""
  for (let index = start; index < end; index++) {
    const segment = template.segments[index]!
    if (segment.kind === "one") return undefined
    // `**` matches no segments as well
    if (segment.kind === "literal") text += `/${escape(segment.text)}`
  }
  return text
}

const accepts = (template: PathTemplate, variable: Variable, value: string): boolean => {
  if (!variable.multi) {
    const segment = template.segments[variable.start]!
    return segment.kind === "one" ? value !== "" : value === segment.text
  }
  const parts = value === "" ? [] : value.split("/")
  let at = 0
  for (const segment of template.segments.slice(variable.start, variable.end)) {
    if (segment.kind === "rest") return true
    const part = parts[at++]
    if (part === undefined || (segment.kind === "one" ? part === "" : part !== segment.text)) return false
  }
  return at === parts.length
}

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/

class Parser {
  private readonly source: string
  private readonly segments: Array<Segment> = []
  private readonly variables: Array<Variable> = []
  private at = 0

  constructor(source: string) {
    this.source = source
  }

  template(): PathTemplate {
    if (this.source[0] !== "/") throw this.error("a template starts with a slash")
    // a verb stands behind the last colon that is neither in braces nor in front of a slash
    const colon = this.source.lastIndexOf(":")
    const hasVerb = colon > this.source.lastIndexOf("/") && colon > this.source.lastIndexOf("}")
    const end = hasVerb ? colon : this.source.length
    do {
      this.at++
      this.segment(end)
    } while (this.at < end && this.source[this.at] === "/")
    if (this.at < end) throw this.error("expected a slash behind a segment")
    const rest = this.segments.findIndex((segment) => segment.kind === "rest")
    if (rest !== -1 && rest !== this.segments.length - 1) throw this.error("`**` must be the last segment", this.source.indexOf("**"))
    let verb: string | undefined
    if (hasVerb) {
      this.at = colon + 1
      verb = this.literal(this.source.length)
      if (verb === "") throw this.error("a verb is empty")
    }
    return { source: this.source, segments: this.segments, variables: this.variables, verb }
  }

  /** A segment of the template itself. */
  private segment(end: number): void {
    if (this.source[this.at] === "{") return this.variable(end)
    this.plain(end, false)
  }

  private variable(end: number): void {
    const open = this.at
    const close = this.source.indexOf("}", open)
    if (close === -1 || close >= end) throw this.error("a brace is not closed")
    const equals = this.source.indexOf("=", open)
    const nameEnd = equals === -1 || equals > close ? close : equals
    const name = this.source.slice(open + 1, nameEnd).trim()
    const path = name.split(".")
    if (!path.every((part) => identifier.test(part))) throw this.error(`"${name}" is not a field path`, open + 1)
    if (this.variables.some((variable) => variable.name === name)) throw this.error(`the variable "${name}" occurs twice`, open + 1)
    const start = this.segments.length
    if (nameEnd === close) this.segments.push({ kind: "one", text: "", bound: true })
    else this.pattern(nameEnd + 1, close)
    this.at = close + 1
    const segments = this.segments.slice(start)
    this.variables.push({ name, path, start, end: this.segments.length, multi: segments.length > 1 || segments[0]!.kind === "rest" })
  }

  private pattern(start: number, close: number): void {
    const text = this.source.slice(start, close)
    const end = start + text.trimEnd().length
    this.at = start + (text.length - text.trimStart().length)
    if (this.at >= end) throw this.error("a pattern is empty", start)
    for (;;) {
      if (this.source[this.at] === "{") throw this.error("variables do not nest")
      if (!this.plain(end, true)) throw this.error("a segment is empty")
      if (this.source[this.at] !== "/" || this.at >= end) break
      this.at++
    }
    if (this.at < end) throw this.error("expected a slash behind a segment")
  }

  /** A wildcard or a literal; false when the literal is empty. */
  private plain(end: number, bound: boolean): boolean {
    const stars = this.source.startsWith("**", this.at) ? 2 : this.source[this.at] === "*" ? 1 : 0
    if (stars > 0 && this.at < end) {
      this.at += stars
      this.segments.push({ kind: stars === 2 ? "rest" : "one", text: "", bound })
      return true
    }
    const start = this.at
    const text = this.literal(end)
    // only a trailing slash leaves an empty segment
    if (text === "" && start < this.source.length) throw this.error("a segment is empty")
    this.segments.push({ kind: "literal", text, bound })
    return text !== ""
  }

  private literal(end: number): string {
    const start = this.at
    while (this.at < end && this.source[this.at] !== "/") {
      if (/[{}*?#=\s]/.test(this.source[this.at]!)) throw this.error(`"${this.source[this.at]}" cannot stand in a literal`)
      this.at++
    }
    const text = decode(this.source.slice(start, this.at), false)
    if (text === undefined) throw this.error("broken percent-encoding", start)
    return text
  }

  private error(message: string, position = this.at): PathTemplateError {
    return new PathTemplateError({ template: this.source, position, message: `${message} (at ${position} of "${this.source}")` })
  }
}
