/**
 * What config is made of before anybody gives it types: records, lists and scalars. Trees are never changed; merging makes new ones and shares what it can.
 */

export type ConfigValue = string | number | boolean | null | ReadonlyArray<ConfigValue> | ConfigTree

export interface ConfigTree {
  readonly [key: string]: ConfigValue
}

/** Keys from the root to a value; positions in a list are not part of it. */
export type Path = ReadonlyArray<string>

export const empty: ConfigTree = {}

/** Levels of records and lists. */
export const maxDepth = 64

export const isTree = (value: ConfigValue | undefined): value is ConfigTree =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Later wins: records are merged key by key, everything else (lists, nulls, other types) is replaced. As Kratos v3. */
export const merge = (earlier: ConfigTree, later: ConfigTree): ConfigTree => {
  const merged = new Map<string, ConfigValue>(Object.entries(earlier))
  for (const [key, value] of Object.entries(later)) {
    const before = merged.get(key)
    merged.set(key, isTree(before) && isTree(value) ? merge(before, value) : value)
  }
  // not by assignment: a key may be `__proto__`
  return Object.fromEntries(merged)
}

/** A tree with one value, at the end of `path`. */
export const nested = (path: Path, value: ConfigValue): ConfigTree => {
  let inner = value
  for (let i = path.length - 1; i >= 0; i--) inner = Object.fromEntries([[path[i]!, inner]])
  return isTree(inner) ? inner : empty
}

/** The value at a path through records; undefined when there is none. */
export const get = (tree: ConfigTree, path: Path): ConfigValue | undefined => {
  let value: ConfigValue | undefined = tree
  for (const key of path) {
    if (!isTree(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** The scalars, lists and empty records of a tree with their paths, in order. */
export const leaves = (tree: ConfigTree, at: Path = []): ReadonlyArray<readonly [path: Path, value: ConfigValue]> =>
  Object.entries(tree).flatMap(([key, value]) => {
    const path = [...at, key]
    return isTree(value) && Object.keys(value).length > 0 ? leaves(value, path) : [[path, value] as const]
  })

export const equal = (a: ConfigValue | undefined, b: ConfigValue | undefined): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (isTree(a)) {
    if (!isTree(b)) return false
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
  }
  // not a tree, so a list
  return !isTree(b) && a.length === b.length && a.every((value, i) => equal(value, b[i]))
}

/**
 * What a decoder returned as a value of config: keys become strings, bytes and dates become text, numbers beyond doubles become text. Throws on functions,
 * on nesting deeper than 64 levels (so on cycles too).
 */
export const fromUnknown = (input: unknown, depth = 0): ConfigValue => {
  if (depth > maxDepth) throw new Error(`config is nested deeper than ${maxDepth} levels`)
  switch (typeof input) {
    case "string":
    case "boolean":
      return input
    case "number":
      return Number.isFinite(input) ? input : String(input)
    case "bigint":
      return Number.isSafeInteger(Number(input)) ? Number(input) : String(input)
    case "undefined":
      return null
    case "object":
      break
    default:
      throw new Error(`a ${typeof input} is no config value`)
  }
  if (input === null) return null
  if (input instanceof Date) return input.toISOString()
  if (input instanceof Uint8Array) return new TextDecoder("utf-8", { fatal: true }).decode(input)
  if (Array.isArray(input)) return input.map((item: unknown) => fromUnknown(item, depth + 1))
  const entries = input instanceof Map ? [...input] : Object.entries(input)
  return Object.fromEntries(entries.map(([key, value]: readonly [unknown, unknown]) => [String(key), fromUnknown(value, depth + 1)]))
}
