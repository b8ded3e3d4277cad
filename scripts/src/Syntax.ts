/** Syntax trees of TypeScript sources, as far as the checks look at them. */
import { type ParseResult, parseSync } from "oxc-parser"

export interface Node {
  readonly type: string
  readonly start: number
  readonly [property: string]: unknown
}

export class SyntaxProblem extends Error {}

/** Throws `SyntaxProblem` when `source` does not parse. */
export const parse = (path: string, source: string): ParseResult => {
  const result = parseSync(path, source, { sourceType: "module" })
  const error = result.errors[0]
  if (error !== undefined) throw new SyntaxProblem(`${path}: ${error.message}`)
  return result
}

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

/** Calls `f` with every node, parents first. */
export const visit = (value: unknown, f: (node: Node) => void): void => {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, f)
  } else if (isNode(value)) {
    f(value)
    for (const child of Object.values(value)) if (typeof child === "object") visit(child, f)
  }
}

/** The line of an offset, counted from 1. */
export const lines = (source: string): ((offset: number) => number) => {
  const starts = [0]
  for (let i = source.indexOf("\n"); i >= 0; i = source.indexOf("\n", i + 1)) starts.push(i + 1)
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1
}
