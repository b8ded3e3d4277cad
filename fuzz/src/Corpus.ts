/** Inputs that have failed once. They are kept as text in `corpus/`, a file a target, and run with the unit tests for ever. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface Entry {
  readonly input: string
  /** What went wrong. */
  readonly was: string
}

const file = (target: string): string => fileURLToPath(new URL(`../corpus/${target}.json`, import.meta.url))

export const read = (target: string): ReadonlyArray<Entry> =>
  // written by `add` below and by hand, in this form
  existsSync(file(target)) ? (JSON.parse(readFileSync(file(target), "utf8")) as ReadonlyArray<Entry>) : []

export const add = (target: string, entry: Entry): void => {
  const entries = read(target)
  if (entries.some(({ input }) => input === entry.input)) return
  writeFileSync(file(target), `${JSON.stringify([...entries, entry], undefined, 2)}\n`)
}
