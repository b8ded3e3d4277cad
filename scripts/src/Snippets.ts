/**
 * The code in our documents. A fence that opens with ```ts is part of a program: `file=name.ts` names it, so that other blocks of the
 * document can import it, and blocks of one name are one file; `run` executes it; a ```text block with the word `output` that follows a
 * `run` block is what the program prints. Each block sits in its file at the line where it stands in the document, so that the
 * compiler's messages need only another file name.
 */
export interface Snippet {
  /** Relative to the document's folder of snippets. */
  readonly file: string
  readonly run: boolean
  /** What it prints to standard output; undefined when the document does not say. */
  readonly output: string | undefined
  readonly source: string
}

export class SnippetProblem extends Error {}

interface Block {
  readonly language: string
  readonly words: ReadonlyArray<string>
  /** Of the first line after the fence, counted from 1. */
  readonly line: number
  readonly body: ReadonlyArray<string>
}

/** The programs of a Markdown document. Throws `SnippetProblem` for a fence that nothing closes or a word that means nothing. */
export const parse = (document: string): ReadonlyArray<Snippet> => {
  const files = new Map<string, { lines: Array<string>; run: boolean; output: string | undefined }>()
  let last: { output: string | undefined } | undefined
  for (const block of blocks(document)) {
    if (block.language === "text" && block.words.includes("output")) {
      if (last === undefined) throw new SnippetProblem(`line ${block.line - 1}: output without a program that runs before it`)
      last.output = `${last.output ?? ""}${block.body.map((line) => `${line}\n`).join("")}`
      last = undefined
      continue
    }
    if (block.language !== "ts") continue
    let name = `line-${block.line}.ts`
    let run = false
    for (const word of block.words) {
      if (word === "run") run = true
      else if (/^file=(?!\.|\/)[\w./-]+\.ts$/.test(word) && !word.includes("..")) name = word.slice("file=".length)
      else throw new SnippetProblem(`line ${block.line - 1}: "${word}" is neither file=<name>.ts nor run`)
    }
    const file = files.get(name) ?? { lines: [], run: false, output: undefined }
    files.set(name, file)
    while (file.lines.length < block.line - 1) file.lines.push("")
    file.lines.push(...block.body)
    file.run ||= run
    last = run ? file : undefined
  }
  return [...files].map(([file, { lines, output, run }]) => ({ file, run, output, source: `${lines.join("\n")}\n` }))
}

/** Where the relative links and images of a document lead, without their fragments; links of code blocks do not count. */
export const links = (document: string): ReadonlyArray<string> => {
  const prose = document.replaceAll(/^([ ]*)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1?[ ]*\2[`~]*[ ]*$/gm, "").replaceAll(/`[^`\n]*`/g, "")
  return [...prose.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)]
    .map(([, target]) => (target ?? "").replace(/#.*$/, ""))
    .filter((target) => target !== "" && !/^[a-z][a-z+.-]*:/i.test(target))
}

const blocks = (document: string): ReadonlyArray<Block> => {
  const found: Array<Block> = []
  const lines = document.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const open = /^( *)(`{3,}|~{3,})\s*(\S*)\s*(.*)$/.exec(lines[i] ?? "")
    if (open === null) continue
    const [, indent = "", fence = "", language = "", rest = ""] = open
    const end = lines.findIndex((line, at) => at > i && line.trim().startsWith(fence) && /^[`~]+$/.test(line.trim()))
    if (end < 0) throw new SnippetProblem(`line ${i + 1}: nothing closes this block`)
    const body = lines.slice(i + 1, end).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
    found.push({
      language: language === "typescript" ? "ts" : language,
      words: rest.split(/\s+/).filter((word) => word !== ""),
      line: i + 2,
      body
    })
    i = end
  }
  return found
}
