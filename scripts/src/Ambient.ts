/**
 * Where a package reads time, draws chance or sets a timer of the platform, instead of asking a service. Code that does so cannot be
 * simulated: under a test's clock and seed it does something else every time. Microtasks and `process.nextTick` are free, since their order is fixed.
 */
import { isNode, lines, type Node, parse, visit } from "./Syntax.ts"

export interface Use {
  /** As written, without `globalThis`: `Date.now`, `new Date()`, `setTimeout`, `node:timers`. */
  readonly name: string
  /** Counted from 1. */
  readonly line: number
}

/** The places that stand between the platform and the rest: path → what it uses there → why. */
export const places: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "packages/core/src/internal/process.ts": {
    setTimeout: "the limit of a whole stop: it counts while the program's own clock may stand still, and must not keep the process alive"
  },
  "packages/http2/src/internal/Platform.ts": {
    "performance.now": "the default of ConnectionOptions.now: the engine knows no services, its owner gives it a clock",
    setTimeout: "the default of ConnectionOptions.after, likewise; and the end of a socket that outlives its owner (Farewell)",
    setImmediate: "part of that default: what has come already is read before a timer ends anything"
  },
  "packages/transport/src/LoopTurn.ts": {
    setImmediate: "the one place that asks for a turn of the event loop: no time passes in it, sockets and memory pairs are read"
  },
  "packages/transport/src/rest/Nodes.ts": {
    "duplex.setTimeout": "how Node's agent is told when an idle socket of its own goes; memory pairs are left out"
  }
}

const globals = new Set(["setTimeout", "setInterval", "setImmediate"])

const members: Readonly<Record<string, ReadonlySet<string>>> = {
  Date: new Set(["now"]),
  performance: new Set(["now", "timeOrigin"]),
  process: new Set(["hrtime", "uptime"]),
  Math: new Set(["random"]),
  crypto: new Set(["randomUUID", "getRandomValues", "randomBytes", "randomInt", "randomFill", "randomFillSync"]),
  AbortSignal: new Set(["timeout"])
}

/** What of a module may not be imported; `*` is all of it. */
const modules: Readonly<Record<string, ReadonlySet<string>>> = {
  timers: new Set(["*"]),
  "timers/promises": new Set(["*"]),
  crypto: new Set([...members["crypto"]!, "webcrypto"]),
  process: members["process"]!
}

/** The uses in `source`, in order. Throws `SyntaxProblem` when it does not parse. */
export const find = (path: string, source: string): ReadonlyArray<Use> => {
  const { program } = parse(path, source)
  const lineOf = lines(source)
  const found: Array<Use> = []
  const skipped = new Set<unknown>()
  visit(program, (node) => {
    for (const name of usesOf(node, skipped)) found.push({ name, line: lineOf(node.start) })
  })
  return found
}

/** What `source` uses outside of the places that may. */
export const check = (path: string, source: string, allowed = places): ReadonlyArray<Use> =>
  find(path, source).filter(({ name }) => allowed[path]?.[name] === undefined)

/** Names in `skipped` are keys and properties, no references; a node puts its children there before they are visited. */
const usesOf = (node: Node, skipped: Set<unknown>): ReadonlyArray<string> => {
  switch (node.type) {
    case "MemberExpression": {
      const property = nameOf(node["property"], node["computed"] === true)
      if (node["computed"] !== true) skipped.add(node["property"])
      const object = pathOf(node["object"])
      if (property === undefined || object === undefined) return []
      if (object === "globalThis" || object === "global") return globals.has(property) ? [property] : []
      const owner = bare(object)
      // of sockets and requests
      if (property === "setTimeout") return [`${owner}.setTimeout`]
      return members[owner]?.has(property) === true ? [`${owner}.${property}`] : []
    }
    case "NewExpression":
      return pathOf(node["callee"]) === "Date" && isEmpty(node["arguments"]) ? ["new Date()"] : []
    case "CallExpression":
      return pathOf(node["callee"]) === "Date" ? ["Date()"] : []
    case "VariableDeclarator":
      return destructured(node["id"], pathOf(node["init"]))
    case "ImportSpecifier":
      skipped.add(node["imported"])
      skipped.add(node["local"])
      return []
    case "ImportDeclaration":
      return node["importKind"] === "type" ? [] : imported(node["source"], node["specifiers"])
    case "Identifier":
      return !skipped.has(node) && globals.has(String(node["name"])) ? [String(node["name"])] : []
    default:
      // keys of objects, classes and types
      if (node["computed"] !== true) skipped.add(node["key"])
      return []
  }
}

const isEmpty = (list: unknown): boolean => Array.isArray(list) && list.length === 0

const bare = (path: string): string => path.replace(/^(?:globalThis|global)\./, "")

const nameOf = (node: unknown, computed: boolean): string | undefined => {
  if (!isNode(node)) return undefined
  if (!computed) return typeof node["name"] === "string" ? node["name"] : undefined
  return node.type === "Literal" && typeof node["value"] === "string" ? node["value"] : undefined
}

/** `a.b.c` of nested member expressions; undefined of what is no such path. `this.x.y` is `x.y`. */
const pathOf = (node: unknown): string | undefined => {
  if (!isNode(node)) return undefined
  if (node.type === "Identifier") return String(node["name"])
  if (node.type !== "MemberExpression") return undefined
  const property = nameOf(node["property"], node["computed"] === true)
  const object = pathOf(node["object"])
  if (property === undefined) return undefined
  return object === undefined ? property : `${object}.${property}`
}

/** `const { now } = Date`. */
const destructured = (pattern: unknown, from: string | undefined): ReadonlyArray<string> => {
  if (!isNode(pattern) || pattern.type !== "ObjectPattern" || from === undefined || !Array.isArray(pattern["properties"])) return []
  const owner = bare(from)
  return pattern["properties"].flatMap((property: unknown) => {
    const key = isNode(property) ? nameOf(property["key"], property["computed"] === true) : undefined
    if (key === undefined) return []
    if (owner === "globalThis") return globals.has(key) ? [key] : []
    return members[owner]?.has(key) === true ? [`${owner}.${key}`] : []
  })
}

const imported = (source: unknown, specifiers: unknown): ReadonlyArray<string> => {
  const module = nameOf(source, true)?.replace(/^node:/, "")
  const names = module === undefined ? undefined : modules[module]
  if (names === undefined || !Array.isArray(specifiers)) return []
  if (names.has("*")) return [`node:${module}`]
  return specifiers.flatMap((specifier: unknown) => {
    const name = isNode(specifier) && specifier["importKind"] !== "type" ? nameOf(specifier["imported"], false) : undefined
    return name !== undefined && names.has(name) ? [`node:${module} ${name}`] : []
  })
}
