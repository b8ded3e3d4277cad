/**
 * A module under construction: what it exports, what it imports under which name, and its lines. Names from a contract win; what we add
 * ourselves gives way by a `$`, which no proto identifier contains.
 */
import type { GeneratedFile, Schema } from "@bufbuild/protoplugin"

export interface Module {
  /** The name under which `name` of the module at `from` is known here. `from` is a path from the output folder, or a package. */
  readonly use: (name: string, from: string, wanted?: string) => string
  /** The name of a whole module. */
  readonly useAll: (name: string, from: string) => string
  readonly print: (...lines: ReadonlyArray<string>) => void
  /** Writes header, imports and lines. */
  readonly write: (file: GeneratedFile) => void
}

interface Import {
  readonly from: string
  readonly all: string | undefined
  readonly names: Map<string, string>
}

/** A module at `path`, which starts from the output folder; `exported` are the names it will declare. */
export const make = (options: {
  readonly path: string
  readonly header: ReadonlyArray<string>
  readonly exported: ReadonlyArray<string>
  readonly extension: Schema["options"]["importExtension"]
}): Module => {
  const taken = new Set(options.exported)
  const imports = new Map<string, Import>()
  const lines: Array<string> = []
  const claim = (wanted: string): string => {
    if (taken.has(wanted)) return claim(`${wanted}$`)
    taken.add(wanted)
    return wanted
  }
  return {
    use: (name, from, wanted = name) => {
      const known = imports.get(from) ?? { from, all: undefined, names: new Map<string, string>() }
      imports.set(from, known)
      const local = known.names.get(name) ?? claim(wanted)
      known.names.set(name, local)
      return local
    },
    useAll: (name, from) => {
      const known = imports.get(from) ?? { from, all: claim(name), names: new Map<string, string>() }
      imports.set(from, known)
      return known.all ?? name
    },
    print: (...more) => lines.push(...more),
    write: (file) => {
      const statements = [...imports.values()].map((entry) => ({ entry, from: specifier(options.path, entry.from, options.extension) }))
      statements.sort((a, b) => order(a.from, b.from))
      const text = statements.map(({ entry, from }) => `import ${clause(entry)} from ${JSON.stringify(from)}`)
      // declarations end with an empty line, a file does not
      const body = lines.at(-1) === "" ? lines.slice(0, -1) : lines
      for (const line of [...options.header, ...text, ...(text.length > 0 ? [""] : []), ...body]) file.print(line)
    }
  }
}

const clause = (entry: Import): string => {
  if (entry.all !== undefined) return `* as ${entry.all}`
  const names = [...entry.names].sort(([a], [b]) => (a < b ? -1 : 1))
  return `{ ${names.map(([name, local]) => (name === local ? name : `${name} as ${local}`)).join(", ")} }`
}

/** Packages first, then files; each by name. */
const order = (a: string, b: string): number => {
  const [localA, localB] = [a.startsWith("."), b.startsWith(".")]
  return localA === localB ? (a < b ? -1 : 1) : localA ? 1 : -1
}

/** How the module at `importer` names the one at `target`: packages as they are, files relative and with the chosen extension. */
export const specifier = (importer: string, target: string, extension: Schema["options"]["importExtension"]): string => {
  if (!/^\.{1,2}\//.test(target)) return target
  const from = importer.replace(/^\.\//, "").split("/").slice(0, -1)
  const to = target.replace(/^\.\//, "").split("/")
  let shared = 0
  while (shared < from.length && shared < to.length - 1 && from[shared] === to[shared] && from[shared] !== "..") shared++
  const steps = [...from.slice(shared).map(() => ".."), ...to.slice(shared)].join("/")
  const relative = steps.startsWith("../") ? steps : `./${steps}`
  return relative.replace(/\.js$/, extension === "none" ? "" : `.${extension}`)
}
