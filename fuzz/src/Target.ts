import type { Random } from "./Random.ts"

/** One reader, or a pair of them that must agree. */
export interface Target {
  readonly name: string
  /** What holds for every input, in a few words. */
  readonly law: string
  /** Makes an input: text, or octets as one UTF-16 unit each. */
  readonly make: (random: Random) => string
  /** Throws when the law does not hold. What the reader throws by contract is not thrown on. */
  readonly run: (input: string) => void | Promise<void>
  /** Its share of the inputs of a run over all targets, by what an input costs. Default 1. */
  readonly share?: number | undefined
}

/** A law that did not hold. */
export class Broken extends Error {
  override readonly name = "Broken"
}

export const holds = (condition: boolean, what: () => string): void => {
  if (!condition) throw new Broken(what())
}

export const bytesOf = (input: string): Buffer => Buffer.from(input, "latin1")
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
