/**
 * Which code may import which. The rules are the direction of dependencies between packages, the order of the folders inside `core`,
 * and what keeps start-up cheap and engines portable: no barrels, no Node built-ins where they do not belong.
 */
import { builtinModules } from "node:module"
import { posix } from "node:path"
import type { Import } from "./Imports.ts"

interface PackageRule {
  /** Our packages that it may import. */
  readonly ours: ReadonlyArray<string>
  /** `none`, `types` (nothing is left at run time) or `all` of Node's built-in modules. */
  readonly node: "none" | "types" | "all"
  /** Third-party packages that it may import; undefined: whatever its package.json declares. */
  readonly vendors?: ReadonlyArray<string>
}

const packages: Readonly<Record<string, PackageRule>> = {
  aegis: { ours: [], node: "none", vendors: ["effect"] },
  core: { ours: ["aegis"], node: "none", vendors: ["effect"] },
  http2: { ours: [], node: "types", vendors: [] },
  transport: { ours: ["aegis", "core", "http2"], node: "all" },
  gateway: { ours: ["aegis", "core", "transport"], node: "all" },
  console: { ours: ["aegis", "core", "transport"], node: "all" },
  testing: { ours: ["aegis", "core", "transport"], node: "all" },
  contrib: { ours: ["aegis", "core", "transport"], node: "all" },
  cli: { ours: [], node: "all" },
  "protoc-gen": { ours: [], node: "all" },
  layout: { ours: [], node: "all" }
}

/** Lowest first. A module of `core` imports its own level and those before it. */
const coreLevels: ReadonlyArray<ReadonlyArray<string>> = [
  ["internal"],
  ["error", "Metadata", "Endpoint", "Uuid"],
  ["Call", "Deadline"],
  ["Aspect", "Lifecycle"],
  ["config", "log", "metric", "registry"],
  ["selector"],
  ["aspect"],
  ["policy"],
  ["App"]
]

const barrels = new Set(["effect", "@effect/platform-node", "@effect/opentelemetry"])

export interface Source {
  /** From the repository's root, with slashes. */
  readonly path: string
  readonly imports: ReadonlyArray<Import>
  /** The names that the package's own package.json lists under dependencies and peerDependencies. */
  readonly declared: ReadonlySet<string>
}

/** npm name → folder, of every workspace of the repository. */
export type Workspaces = ReadonlyMap<string, string>

export interface Violation {
  readonly path: string
  readonly line: number
  readonly message: string
}

interface Place {
  /** Key of `packages`. */
  readonly rule: string
  /** Folder of the package, from the root. */
  readonly root: string
  /** Path below `src`, without the file's extension. */
  readonly module: string
}

/** Where a file of `packages/<name>/src` or `packages/contrib/<vendor>/src` is; undefined for every other file. */
export const place = (path: string): Place | undefined => {
  const match = /^packages\/(?:(contrib)\/)?([^/]+)\/src\/(.+)\.[cm]?tsx?$/.exec(path)
  const [, contrib, name, module] = match ?? []
  if (name === undefined || module === undefined) return undefined
  return { rule: contrib ?? name, root: contrib === undefined ? `packages/${name}` : `packages/contrib/${name}`, module }
}

/** What `source` imports against the rules. Files outside of the packages' `src` are free. */
export const check = (source: Source, workspaces: Workspaces): ReadonlyArray<Violation> => {
  const at = place(source.path)
  if (at === undefined) return []
  const rule = packages[at.rule]
  if (rule === undefined) {
    return [
      {
        path: source.path,
        line: 1,
        message: `package ${at.rule} has no place in the direction of dependencies: give it one in scripts/src/Direction.ts`
      }
    ]
  }
  if (at.rule === "core" && level(at.module) < 0) {
    return [
      {
        path: source.path,
        line: 1,
        message: `core/${at.module} has no place in the order of core's folders: give it one in scripts/src/Direction.ts`
      }
    ]
  }
  return source.imports.flatMap((imported) => {
    const message = isRelative(imported.specifier)
      ? relative(source, at, imported)
      : bare(source, at, rule, imported, workspaces.get(packageOf(imported.specifier)))
    return message === undefined ? [] : [{ path: source.path, line: imported.line, message }]
  })
}

const isRelative = (specifier: string): boolean =>
  specifier.startsWith("./") || specifier.startsWith("../") || specifier === "." || specifier === ".."

const relative = (source: Source, at: Place, { specifier }: Import): string | undefined => {
  const target = posix.join(posix.dirname(source.path), specifier)
  if (!target.startsWith(`${at.root}/src/`) && target !== `${at.root}/src`) return `${specifier} leaves the package: import it by its name`
  const there = place(target)
  if (there === undefined || there.module === "index") return `${specifier} is the package's own barrel: import the module itself`
  if (at.rule !== "core") return undefined
  if (level(there.module) > level(at.module))
    return `core/${first(at.module)} comes before core/${first(there.module)} and may not import it`
  return undefined
}

const bare = (
  source: Source,
  at: Place,
  rule: PackageRule,
  { specifier, typeOnly }: Import,
  folder: string | undefined
): string | undefined => {
  if (isBuiltin(specifier)) {
    if (/^(node:)?http2$/.test(specifier)) return "node:http2 is not used: the engine is packages/http2"
    if (rule.node === "none") return `${at.rule} runs anywhere and imports no Node module: ${specifier}`
    return rule.node === "types" && !typeOnly ? `${at.rule} may import only types of Node modules: ${specifier}` : undefined
  }
  const name = packageOf(specifier)
  if (folder === at.root) {
    if (specifier === name) return `${specifier} is the package's own barrel: import the module itself`
    return at.module.startsWith("gen/") ? undefined : `${specifier} is in this package: import it by a relative path`
  }
  if (folder !== undefined) {
    if (specifier.startsWith(`${name}/internal/`)) return `${specifier} is internal to its package`
    if (at.rule === "contrib" && folder.startsWith("packages/contrib/")) return `contrib never imports contrib: ${specifier}`
    if (!rule.ours.some((ours) => folder === `packages/${ours}`)) return `${at.rule} may not import ${name}`
  } else if (rule.vendors !== undefined && !rule.vendors.includes(name)) {
    return `${at.rule} may not import ${name}`
  }
  if (barrels.has(specifier) && !typeOnly) return `${specifier} is a barrel and slows start-up: import a sub-path`
  return source.declared.has(name) ? undefined : `${name} is not a dependency in ${at.root}/package.json`
}

const builtins = new Set(builtinModules)
const isBuiltin = (specifier: string): boolean => specifier.startsWith("node:") || builtins.has(specifier)
const packageOf = (specifier: string): string => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
const first = (module: string): string => module.split("/", 1)[0] ?? module
const level = (module: string): number => coreLevels.findIndex((names) => names.includes(first(module)))
