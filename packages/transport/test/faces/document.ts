/** The tables of docs/faces.md, for the tests that hold them against a server. */
import { readFileSync } from "node:fs"

const document = readFileSync(new URL("../../../../docs/faces.md", import.meta.url), "utf8")

const cellsOf = (line: string): ReadonlyArray<string> =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll("`", ""))

/** The first table behind a heading: its head, and its rows. */
export const tableUnder = (
  heading: string
): { readonly head: ReadonlyArray<string>; readonly rows: ReadonlyArray<ReadonlyArray<string>> } => {
  const lines = document.slice(document.indexOf(`\n${heading}\n`) + 1).split("\n")
  const start = lines.findIndex((line) => line.startsWith("|"))
  const length = lines.slice(start).findIndex((line) => !line.startsWith("|"))
  const [head = [], , ...rows] = lines.slice(start, start + length).map(cellsOf)
  return { head, rows }
}
