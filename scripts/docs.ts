/**
 * Proves our documents: every ```ts block of every tracked Markdown file type-checks under the repository's own options, blocks marked
 * `run` run and print what the document says they print, and relative links lead somewhere. Generated code of the examples is importable
 * from snippets as `./gen/…`. With arguments: only the documents named.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"
import * as Repository from "./src/Repository.ts"
import * as Snippets from "./src/Snippets.ts"

const runTimeout = 30_000

const paths = Repository.files()
const manifests = Repository.manifests(paths)
const named = process.argv.slice(2)
const documents = paths.filter((path) => path.endsWith(".md") && (named.length === 0 ? !path.includes("/fixtures/") : named.includes(path)))
const problems: Array<string> = named.filter((path) => !documents.includes(path)).map((path) => `${path}: no such document`)

// inside the repository, so that snippets resolve packages as a user's code does
const work = join(Repository.root, ".cache", `docs-${process.pid}`)
const folderOf = (document: string): string => document.replaceAll(/[^\w]+/g, "-")
const programs: Array<Snippets.Snippet & { readonly document: string }> = []
const documentOf = new Map<string, string>()

try {
  for (const document of documents) {
    const text = Repository.read(document)
    for (const link of Snippets.links(text)) {
      const target = normalize(join(dirname(document), decodeURI(link)))
      if (!existsSync(join(Repository.root, target))) problems.push(`${document}: ${link} leads nowhere`)
    }
    try {
      for (const snippet of Snippets.parse(text)) programs.push({ ...snippet, document })
    } catch (error) {
      if (!(error instanceof Snippets.SnippetProblem)) throw error
      problems.push(`${document}: ${error.message}`)
    }
  }

  for (const { document, file, source } of programs) {
    const path = join(work, folderOf(document), file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, source)
    documentOf.set(folderOf(document), document)
  }
  for (const folder of documentOf.keys()) linkGenerated(join(work, folder, "gen"))
  if (programs.length > 0) typeCheck()
  for (const program of programs) if (program.run) run(program)
} finally {
  rmSync(work, { recursive: true, force: true })
}

for (const problem of problems) process.stderr.write(`docs: ${problem}\n`)
if (problems.length === 0)
  process.stdout.write(
    `docs: ok, ${documents.length} documents, ${programs.length} programs, ${programs.filter(({ run }) => run).length} run\n`
  )
process.exitCode = problems.length === 0 ? 0 : 1

/** One folder of links to what the examples generate, package by package. */
function linkGenerated(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const examples = join(Repository.root, "examples")
  for (const example of existsSync(examples) ? readdirSync(examples) : []) {
    const generated = join(examples, example, "src", "gen")
    if (!existsSync(generated)) continue
    for (const name of readdirSync(generated)) {
      if (!existsSync(join(folder, name))) symlinkSync(join(generated, name), join(folder, name))
    }
  }
}

function typeCheck(): void {
  // tsconfig.json of the root carries no comments
  const { references } = JSON.parse(Repository.read("tsconfig.json")) as { readonly references: ReadonlyArray<{ readonly path: string }> }
  const config = {
    extends: "../../tsconfig.base.json",
    compilerOptions: {
      composite: false,
      incremental: false,
      declaration: false,
      declarationMap: false,
      sourceMap: false,
      noEmit: true,
      noUnusedLocals: false,
      types: ["node"]
    },
    include: [...documentOf.keys()],
    exclude: ["**/gen"],
    references: references.filter(({ path }) => imported(path)).map(({ path }) => ({ path: `../../${path}` }))
  }
  writeFileSync(join(work, "tsconfig.json"), JSON.stringify(config))
  const { status, stdout } = spawnSync(join(Repository.root, "node_modules/.bin/tsc"), ["-b", work, "--pretty", "false"], {
    cwd: Repository.root,
    encoding: "utf8"
  })
  if (status === 0) return
  const prefix = `${relative(Repository.root, work)}/`
  const elsewhere: Array<string> = []
  let inDocument = false
  for (const line of stdout.trimEnd().split("\n")) {
    // what is indented belongs to the message before it
    if (line.startsWith(" ")) {
      if (inDocument) problems.push(line)
      continue
    }
    const [, folder = "", file = ""] = line.startsWith(prefix) ? (/^([^/]+)\/([^(]+)/.exec(line.slice(prefix.length)) ?? []) : []
    const document = documentOf.get(folder)
    inDocument = document !== undefined
    if (inDocument) problems.push(`${document}${line.slice(prefix.length + folder.length + 1 + file.length)}`)
    else elsewhere.push(line)
  }
  const [first] = elsewhere
  if (first !== undefined) problems.push(`what the documents import does not type-check, ${elsewhere.length} errors, the first: ${first}`)
}

/** True for the packages that a snippet names, and for the examples once a snippet imports generated code. */
function imported(folder: string): boolean {
  if (folder.startsWith("examples/")) return programs.some(({ source }) => source.includes('"./gen/'))
  const name = manifests.get(folder)?.name
  return folder.startsWith("packages/") && name !== undefined && programs.some(({ source }) => source.includes(`"${name}/`))
}

function run({ document, file, output }: (typeof programs)[number]): void {
  const { error, signal, status, stderr, stdout } = spawnSync(process.execPath, [join(work, folderOf(document), file)], {
    cwd: Repository.root,
    encoding: "utf8",
    timeout: runTimeout
  })
  if (status !== 0) problems.push(`${document}: ${file} ended with ${signal ?? error?.message ?? status}: ${stderr.trim()}`)
  else if (output !== undefined && stdout !== output)
    problems.push(`${document}: ${file} prints ${JSON.stringify(stdout)} where the document says ${JSON.stringify(output)}`)
}
