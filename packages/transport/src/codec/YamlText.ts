/** Trees as YAML in block style, with every text quoted that could be taken for anything else. */
import * as FloatText from "./FloatText.ts"
import { type Entry, Float, isEntries, Plain, type Tree } from "./GoTree.ts"

export const write = (tree: Tree): string => {
  const text = block(tree, "")
  return `${text.startsWith("\n") ? text.slice(1) : text}\n`
}

/** A value behind its key or dash: on the same line, or on lines of its own. */
const block = (tree: Tree, indent: string): string => {
  if (Array.isArray(tree)) {
    const items = tree as ReadonlyArray<Tree>
    return items.length === 0 ? "[]" : items.map((item) => `\n${indent}- ${inline(item, `${indent}  `)}`).join("")
  }
  if (isEntries(tree)) {
    return tree.entries.length === 0 ? "{}" : tree.entries.map(([key, value]) => `\n${indent}${entry(key, value, indent)}`).join("")
  }
  return scalar(tree)
}

/** The first line of a value stands behind the dash. */
const inline = (tree: Tree, indent: string): string => {
  const text = block(tree, indent)
  return text.startsWith("\n") ? text.slice(1 + indent.length) : text
}

const entry = (key: Entry[0], value: Tree, indent: string): string => {
  const text = block(value, `${indent}    `)
  const name = scalar(key)
  // keys that are not short need a mark of their own
  const head = name.length > 128 ? `? ${name}\n${indent}:` : `${name}:`
  return text.startsWith("\n") ? head + text : `${head} ${text}`
}

const scalar = (tree: Tree): string => {
  if (tree === null) return "null"
  if (tree instanceof Float) {
    if (Number.isNaN(tree.value)) return ".nan"
    if (!Number.isFinite(tree.value)) return tree.value > 0 ? ".inf" : "-.inf"
    // yaml.v3 takes `-0` for an integer, which has no sign
    if (Object.is(tree.value, -0)) return "-0.0"
    return FloatText.go(tree.value, tree.single)
  }
  if (typeof tree === "string") return quote(tree)
  if (tree instanceof Plain || typeof tree === "object") throw new TypeError("expected a scalar")
  return String(tree)
}

/** What YAML 1.1 or 1.2 would take for a flag or nothing. */
const words = /^(?:null|true|false|y|yes|n|no|on|off)$/i

const quote = (text: string): string =>
  /^[A-Za-z_][\w./-]*$/.test(text) && !words.test(text)
    ? text
    : // the escapes of JSON are YAML's, too; it does not print as much
      JSON.stringify(text).replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g, (character) => {
        return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
      })
