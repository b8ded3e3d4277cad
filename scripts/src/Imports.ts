/** The modules that a TypeScript source names, found by a parser: static and dynamic imports, re-exports, `import("…")` types. */
import { parseSync } from "oxc-parser"

export interface Import {
  readonly specifier: string
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean
  /** Counted from 1. */
  readonly line: number
}

export class SyntaxProblem extends Error {}

/** Lists the imports of `source` in order of appearance. Throws `SyntaxProblem` when it does not parse. */
export const parse = (path: string, source: string): ReadonlyArray<Import> => {
  const { errors, module, program } = parseSync(path, source, { sourceType: "module" })
  const error = errors[0]
  if (error !== undefined) throw new SyntaxProblem(`${path}: ${error.message}`)

  const found: Array<{ specifier: string; typeOnly: boolean; start: number }> = []
  for (const { entries, moduleRequest, start } of module.staticImports) {
    found.push({ specifier: moduleRequest.value, typeOnly: entries.length > 0 && entries.every((entry) => entry.isType), start })
  }
  for (const { entries, start } of module.staticExports) {
    const requests = new Map<string, boolean>()
    for (const { isType, moduleRequest } of entries) {
      if (moduleRequest !== null) requests.set(moduleRequest.value, isType && (requests.get(moduleRequest.value) ?? true))
    }
    for (const [specifier, typeOnly] of requests) found.push({ specifier, typeOnly, start })
  }
  visit(program, (node) => {
    const specifier = node.type === "ImportExpression" || node.type === "TSImportType" ? literal(node["source"]) : required(node)
    if (specifier !== undefined) found.push({ specifier, typeOnly: node.type === "TSImportType", start: node.start })
  })

  const lineOf = lines(source)
  return found.toSorted((a, b) => a.start - b.start).map(({ specifier, start, typeOnly }) => ({ specifier, typeOnly, line: lineOf(start) }))
}

interface Node {
  readonly type: string
  readonly start: number
  readonly [property: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

const visit = (value: unknown, f: (node: Node) => void): void => {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, f)
  } else if (isNode(value)) {
    f(value)
    for (const child of Object.values(value)) if (typeof child === "object") visit(child, f)
  }
}

const literal = (value: unknown): string | undefined => {
  if (!isNode(value)) return undefined
  if (value.type === "TSLiteralType") return literal(value["literal"])
  return value.type === "Literal" && typeof value["value"] === "string" ? value["value"] : undefined
}

/** `require("…")`, and `import x = require("…")`. */
const required = (node: Node): string | undefined => {
  if (node.type === "TSExternalModuleReference") return literal(node["expression"])
  const callee = node.type === "CallExpression" ? node["callee"] : undefined
  if (!isNode(callee) || callee["name"] !== "require" || !Array.isArray(node["arguments"])) return undefined
  return literal(node["arguments"][0])
}

const lines = (source: string): ((offset: number) => number) => {
  const starts = [0]
  for (let i = source.indexOf("\n"); i >= 0; i = source.indexOf("\n", i + 1)) starts.push(i + 1)
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1
}
