/**
 * `application/yaml`: keys are the names of Go's struct fields in lower case, `userid` for `user_id`, as yaml.v3 writes them for Kratos; on input also those
 * of proto and JSON. Bytes are lists of numbers, or base64 on input; enums are numbers, or names on input; Go cannot read a oneof that is set.
 *
 * The parser is `js-yaml`, loaded when the first document comes. It works on the loop that serves everybody, so documents are limited to `maxBytes`.
 */
import * as KratosError from "@effect-kratos/core/error/KratosError"
import type { Schema } from "js-yaml"
import type * as JsYaml from "js-yaml"
import * as Result from "effect/Result"
import { createRequire } from "node:module"
import { BadText } from "./BadText.ts"
import * as Codec from "./Codec.ts"
import * as GoReader from "./GoReader.ts"
import * as GoTree from "./GoTree.ts"
import * as Utf8 from "./Utf8.ts"
import * as YamlText from "./YamlText.ts"

export interface Options {
  /** Longest document to read, in bytes; a longer one is 413. Default 1 MiB. */
  readonly maxBytes?: number | undefined
}

const style: GoTree.Style = {
  name: ({ goName }) => goName.toLowerCase(),
  choiceName: (goName) => goName.toLowerCase(),
  omitEmpty: false,
  bytes: (bytes) => [...bytes],
  plainJson: false
}

const rules: GoReader.Rules = { strict: false, bytes: "base64", repeats: false }

/** Aliases that a document may have; what they stand for counts each time. */
const maxAliases = 100

const what = "body unmarshal yaml"

export const make = (options: Options = {}): Codec.Codec => {
  const { maxBytes = 1_048_576 } = options
  const decoding = <A>(bytes: Uint8Array, decode: (tree: GoTree.Tree) => A): Result.Result<A, KratosError.KratosError> =>
    bytes.length > maxBytes
      ? Result.fail(KratosError.make(413, Codec.reason, `the document is larger than the limit of ${maxBytes} bytes`))
      : Codec.decoding(what, () => decode(parse(bytes)))
  return {
    name: "yaml",
    contentType: "application/yaml",
    contentTypes: ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"],
    encode: (schema, message) => Codec.encoding(() => Utf8.encode(YamlText.write(GoTree.ofMessage(schema, message, style)))),
    decode: (schema, bytes) => decoding(bytes, (tree) => GoReader.message(schema, tree, rules, budget(bytes)) as never),
    field: {
      encode: (field, message) => Codec.encoding(() => Utf8.encode(YamlText.write(GoTree.ofField(field, message, style)))),
      decode: (field, message, bytes) => decoding(bytes, (tree) => GoReader.field(field, message, tree, rules, budget(bytes)))
    }
  }
}

export const codec: Codec.Codec = make()

/** Every value takes a byte or an alias. */
const budget = (bytes: Uint8Array): number => bytes.length + 10_000

let loaded: ((text: string) => GoTree.Tree) | undefined

const parse = (bytes: Uint8Array): GoTree.Tree => (loaded ??= load())(Utf8.decodeText(bytes))

const load = (): ((text: string) => GoTree.Tree) => {
  const yaml = createRequire(import.meta.url)("js-yaml") as typeof JsYaml // what the package exports
  const schema = makeSchema(yaml)
  return (text) => {
    let tree: GoTree.Tree
    try {
      tree = yaml.load(text, { schema, maxDepth: GoReader.maxDepth, maxAliases }) as GoTree.Tree // made of what the schema's tags make
    } catch (error) {
      // its message repeats the input
      const reason = error instanceof yaml.YAMLException ? error.reason : undefined
      throw new BadText(typeof reason === "string" ? reason : "not YAML")
    }
    return nullOf(tree)
  }
}

interface Mapping {
  readonly entries: Array<GoTree.Entry>
  readonly keys: Map<string, GoTree.Tree>
}

/** Leaves open what plain text is: fields know. */
const makeSchema = (yaml: typeof JsYaml): Schema =>
  yaml.FAILSAFE_SCHEMA.withTags(
    yaml.defineScalarTag("tag:yaml.org,2002:plain", {
      implicit: true,
      resolve: (source) => new GoTree.Plain(source),
      identify: () => false
    }),
    yaml.defineSequenceTag<Array<GoTree.Tree>>("tag:yaml.org,2002:seq", {
      create: () => [],
      addItem: (list, item) => void list.push(nullOf(item as GoTree.Tree)),
      identify: () => false
    }),
    yaml.defineMappingTag<Mapping>("tag:yaml.org,2002:map", {
      create: () => ({ entries: [], keys: new Map() }),
      has: ({ keys }, key) => keys.has(keyOf(key)),
      keys: ({ keys }) => keys.keys(),
      get: ({ keys }, key) => keys.get(keyOf(key)),
      addPair: ({ entries, keys }, key, value) => {
        if (typeof key !== "string" && !(key instanceof GoTree.Plain)) return "a key that is not text"
        const tree = nullOf(value as GoTree.Tree)
        entries.push([keyOf(key), tree])
        keys.set(keyOf(key), tree)
        return ""
      },
      identify: () => false
    })
  )

const keyOf = (key: unknown): string => (key instanceof GoTree.Plain ? key.text : String(key))

const nullOf = (tree: GoTree.Tree): GoTree.Tree => (tree instanceof GoTree.Plain && /^(?:~|null|Null|NULL|)$/.test(tree.text) ? null : tree)
