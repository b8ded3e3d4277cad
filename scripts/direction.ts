/** Checks the direction of dependencies (src/Direction.ts), TypeScript's references (src/References.ts) and the length of files. */
import { posix } from "node:path"
import * as Direction from "./src/Direction.ts"
import * as Imports from "./src/Imports.ts"
import * as References from "./src/References.ts"
import * as Repository from "./src/Repository.ts"

const maxLines = 500

const paths = Repository.files()
const manifests = Repository.manifests(paths)
const workspaces = new Map([...manifests].flatMap(([folder, { name }]) => (name === undefined ? [] : [[name, folder] as const])))

const declared = (folder: string): ReadonlySet<string> => {
  const manifest = manifests.get(folder)
  return new Set([...Object.keys(manifest?.dependencies ?? {}), ...Object.keys(manifest?.peerDependencies ?? {})])
}

const problems: Array<string> = []
let checked = 0

for (const path of paths) {
  const place = Direction.place(path)
  if (place === undefined) continue
  checked += 1
  const source = Repository.read(path)
  if (!place.module.startsWith("gen/")) {
    const lines = source.split("\n").length - 1
    if (lines > maxLines) problems.push(`${path} has ${lines} lines, ${maxLines} at most`)
  }
  try {
    const imports = Imports.parse(path, source)
    for (const { line, message } of Direction.check({ path, imports, declared: declared(place.root) }, workspaces))
      problems.push(`${path}:${line} ${message}`)
  } catch (error) {
    if (!(error instanceof Imports.SyntaxProblem)) throw error
    problems.push(error.message)
  }
}

const references = (folder: string): ReadonlyArray<string> | undefined => {
  const path = folder === "." ? "tsconfig.json" : `${folder}/tsconfig.json`
  if (!paths.includes(path)) return undefined
  // our tsconfig.json files carry no comments
  const config = JSON.parse(Repository.read(path)) as { readonly references?: ReadonlyArray<{ readonly path: string }> }
  return (config.references ?? []).map((reference) => posix.join(folder, reference.path))
}

const projects = [...manifests].map(([folder, manifest]) => ({
  folder,
  name: manifest.name,
  dependencies: Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies }),
  references: references(folder),
  typescript: paths.some((path) => path.startsWith(`${folder}/`) && path.endsWith(".ts"))
}))
problems.push(...References.problems(projects, references(".") ?? []))

for (const problem of problems) process.stderr.write(`direction: ${problem}\n`)
if (problems.length === 0) process.stdout.write(`direction: ok, ${checked} files\n`)
process.exitCode = problems.length === 0 ? 0 : 1
