/** The modules that a TypeScript source names, found by a parser: static and dynamic imports, re-exports, `import("…")` types. */
import { isNode, lines, type Node, parse as parseSyntax, SyntaxProblem, visit } from "./Syntax.ts"

export { SyntaxProblem }

export interface Import {
  readonly specifier: string
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean
  /** Counted from 1. */
  readonly line: number
}

/** Lists the imports of `source` in order of appearance. Throws `SyntaxProblem` when it does not parse. */
export const parse = (path: string, source: string): ReadonlyArray<Import> => {
  const { module, program } = parseSyntax(path, source)
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
