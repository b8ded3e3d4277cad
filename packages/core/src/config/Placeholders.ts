/**
 * `${path:default}` in the strings of a merged config: the value at a dotted path of the same config, else the default, else nothing. Environment variables
 * take part through their source. The rules are Kratos': the default may contain colons, placeholders do not nest, `$NAME` is left alone. A value that has
 * placeholders of its own is resolved before it is put in, whatever the order of keys; one that leads back to itself stays as it is written.
 */
import type { ConfigTree, ConfigValue } from "./ConfigTree.ts"
import * as Tree from "./ConfigTree.ts"

export interface Options {
  /**
   * A string with a placeholder becomes what the first one stands for, with the type that its text has: `"quoted"` text, `true` and `false`, numbers. Default
   * false: strings stay strings, and `Config` gives them types.
   */
  readonly actualTypes?: boolean | undefined
}

/** Values that lead to values. */
const maxChain = 16

const pattern = /\$\{(.*?)\}/g

/** Strings in records are resolved, and strings and records in lists; a list in a list is left alone. */
export const resolve = (tree: ConfigTree, options: Options = {}): ConfigTree => {
  const { actualTypes = false } = options
  /** The paths that are being looked up. */
  const within: Array<string> = []
  const lookup = (placeholder: string, inner: string): string => {
    const text = inner.trim()
    const colon = text.indexOf(":")
    const path = colon < 0 ? text : text.slice(0, colon)
    const found = Tree.get(tree, path.split("."))
    if (found === undefined) return colon < 0 ? "" : text.slice(colon + 1)
    if (typeof found === "object") return ""
    if (typeof found !== "string") return String(found)
    if (within.includes(path) || within.length === maxChain) return placeholder
    within.push(path)
    const resolved = String(string(found))
    within.pop()
    return resolved
  }
  const string = (text: string): ConfigValue => {
    if (!text.includes("${")) return text
    if (!actualTypes) return text.replace(pattern, lookup)
    const first = new RegExp(pattern.source).exec(text)
    return first === null ? text : typed(lookup(first[0], first[1]!))
  }
  const record = (tree: ConfigTree): ConfigTree => {
    let changed = false
    const entries = Object.entries(tree).map(([key, before]) => {
      const after = value(before)
      changed ||= after !== before
      return [key, after] as const
    })
    return changed ? Object.fromEntries(entries) : tree
  }
  const value = (before: ConfigValue): ConfigValue => {
    if (typeof before === "string") return string(before)
    if (Tree.isTree(before)) return record(before)
    if (typeof before !== "object" || before === null) return before
    const after = before.map((item) => (typeof item === "string" ? string(item) : Tree.isTree(item) ? record(item) : item))
    return after.every((item, i) => item === before[i]) ? before : after
  }
  return record(tree)
}

const typed = (text: string): ConfigValue => {
  if (text.length >= 2 && text.startsWith('"') && text.endsWith('"')) return text.slice(1, -1)
  if (text === "true") return true
  if (text === "false") return false
  // digits beyond a double stay text, so that none is lost
  if (/^[+-]?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : text
  if (text.includes(".") && /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text)
  return text
}
