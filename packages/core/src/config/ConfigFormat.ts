/** How documents of config are written, by the ending of their names. */
import * as Effect from "effect/Effect"
import * as Ini from "effect/encoding/Ini"
import * as Toml from "effect/encoding/Toml"
import * as Xml from "effect/encoding/Xml"
import * as Yaml from "effect/encoding/Yaml"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { parseJson } from "../internal/parseJson.ts"
import { ConfigSourceError } from "./ConfigSourceError.ts"
import type { KeyValue } from "./ConfigSource.ts"
import type { ConfigTree } from "./ConfigTree.ts"
import * as Tree from "./ConfigTree.ts"

/** Reads one document; what it fails with, or throws, is the cause of the error that users see. */
export type Format = (text: string) => Effect.Effect<unknown, unknown>

export type Formats = Readonly<Record<string, Format>>

const sync =
  (parse: (text: string) => unknown): Format =>
  (text) =>
    Effect.fromResult(Result.try(() => parse(text)))

/** `a.b = c` lines; `:` and blanks separate as well, a backslash continues a line, `#` and `!` begin comments. As `java.util.Properties`, keys with dots nested. */
const properties = (text: string): ConfigTree => {
  const lines = text.replace(/\r\n?/g, "\n").replace(/\\\n[ \t]*/g, "")
  let tree = Tree.empty
  for (const line of lines.split("\n")) {
    const start = line.trimStart()
    if (start === "" || start.startsWith("#") || start.startsWith("!")) continue
    const [, key = "", value = ""] = /^((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)$/.exec(start) ?? []
    tree = Tree.merge(tree, Tree.nested(unescape(key).split("."), unescape(value)))
  }
  return tree
}

const unescape = (text: string): string =>
  text.replace(/\\(u([0-9a-fA-F]{4})|.)/g, (_, char: string, hex: string | undefined) =>
    hex === undefined ? ({ n: "\n", t: "\t", r: "\r", f: "\f" }[char] ?? char) : String.fromCharCode(parseInt(hex, 16))
  )

/** `NAME=value` lines, an `export` in front, single quotes for text as it is, double quotes with `\n` and the like, `#` for comments. Names stay whole. */
const env = (text: string): ConfigTree => {
  const entries = new Map<string, string>()
  const assignment = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*(?:'([^']*)'|"((?:\\[^]|[^"\\])*)"|([^\n]*))/gm
  for (const [, name = "", single, double, bare = ""] of text.replace(/\r\n?/g, "\n").matchAll(assignment)) {
    entries.set(name, single ?? (double === undefined ? bare.replace(/(^|\s)#.*$/, "").trim() : unescape(double)))
  }
  return Object.fromEntries(entries)
}

/**
 * The root's children are the keys: an element with text is a string, one with elements or attributes a record (its text under `#text`), one that repeats a
 * list. Entities of a DOCTYPE are refused.
 */
const xml: Format = (text) =>
  Stream.make(text).pipe(
    Stream.pipeThroughChannel(Xml.decodeString({ maxDepth: Tree.maxDepth })),
    Stream.runCollect,
    Effect.map((events) => {
      const root: Open = { values: new Map(), text: "" }
      const open = [root]
      for (const event of events) {
        const top = open.at(-1)!
        if (event._tag === "StartElement") {
          const element: Open = { values: new Map(Object.entries(event.attributes)), text: "" }
          open.push(element)
        } else if (event._tag === "EndElement") {
          open.pop()
          add(open.at(-1)!, event.name, close(top))
        } else if (event._tag === "Text") top.text += event.text
      }
      const [document] = root.values.values()
      return document === undefined || typeof document === "string" ? {} : document
    })
  )

interface Open {
  readonly values: Map<string, unknown>
  text: string
}

const add = ({ values }: Open, name: string, value: unknown): void => {
  const before = values.get(name)
  values.set(name, before === undefined ? value : Array.isArray(before) ? [...(before as ReadonlyArray<unknown>), value] : [before, value])
}

const close = ({ text, values }: Open): unknown => {
  const trimmed = text.trim()
  if (values.size === 0) return trimmed
  if (trimmed !== "") values.set("#text", trimmed)
  return Object.fromEntries(values)
}

const yaml = sync(Yaml.parse)

/** `json`, `yaml`, `yml`, `toml`, `ini`, `properties`, `xml`, `env`. */
export const defaults: Formats = {
  json: sync(parseJson),
  yaml,
  yml: yaml,
  toml: (text) => Effect.fromResult(Toml.parse(text)),
  ini: sync(Ini.parse),
  properties: sync(properties),
  xml,
  env: sync(env)
}

/**
 * The tree of one document. An empty document is the empty tree; one without a format is a bare value at the dotted path of its key. Fails for a format that
 * is not known, for text that is not of its format or longer than `maxLength`, and for a document that is no record.
 */
export const decode = (
  source: string,
  document: KeyValue,
  formats: Formats,
  maxLength: number
): Effect.Effect<ConfigTree, ConfigSourceError> => {
  const { format, key, value } = document
  const error = (cause: unknown) => new ConfigSourceError({ source, key, cause })
  if (value.length > maxLength) return Effect.fail(error(new Error(`${value.length} characters, ${maxLength} are allowed`)))
  if (format === "") return Effect.succeed(Tree.nested(key.split("."), value))
  const parse = Object.hasOwn(formats, format) ? formats[format] : undefined
  if (parse === undefined) {
    return Effect.fail(error(new Error(`the format "${format}" is not known; there are ${Object.keys(formats).join(", ")}`)))
  }
  if (value.trim() === "") return Effect.succeed(Tree.empty)
  return parse(value).pipe(
    Effect.catchDefect(Effect.fail),
    Effect.flatMap((decoded) => Effect.fromResult(Result.try(() => Tree.fromUnknown(decoded)))),
    // parsers quote the text that they stumble over
    Effect.mapError((cause) => error(document.secret === true ? new Error(`it is not ${format}`) : cause)),
    Effect.flatMap((tree) => {
      if (tree === null) return Effect.succeed(Tree.empty)
      return Tree.isTree(tree) ? Effect.succeed(tree) : Effect.fail(error(new Error("it is no record at its top level")))
    })
  )
}
