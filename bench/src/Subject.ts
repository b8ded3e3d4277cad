/** The programs that are compared: where each one is, and what keeps it from running here. */
import { fileURLToPath } from "node:url"
import type { Go } from "./Go.ts"

export interface Subject {
  readonly name: string
  readonly command: ReadonlyArray<string>
  /** Why it cannot run on this machine; undefined when it can. */
  readonly missing: string | undefined
}

/** A TypeScript program of `subjects/`. */
export const node = (name: string, file: string, options: ReadonlyArray<string> = []): Subject => ({
  name,
  command: [process.execPath, ...options, fileURLToPath(new URL(`subjects/${file}.ts`, import.meta.url))],
  missing: undefined
})

/** A program of `peers/go`. */
export const go = (name: string, peers: Go, program: string, args: ReadonlyArray<string> = []): Subject => ({
  name,
  command: [`${peers.folder}/${program}`, ...args],
  missing: peers.missing
})
