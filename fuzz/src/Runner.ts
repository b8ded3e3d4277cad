/** Runs inputs against a target and keeps what was found: by its seed and number, and as the input itself. */
import * as Random from "./Random.ts"
import type { Target } from "./Target.ts"

export interface Finding {
  readonly target: string
  readonly seed: number
  readonly index: number
  readonly kind: "crash" | "slow" | "hang" | "leak"
  readonly input: string
  readonly error: string
}

export interface Options {
  readonly seed: number
  readonly from: number
  readonly inputs: number
  /** An input that takes longer than this, in milliseconds, is a finding: the longest input is 64 KiB. */
  readonly slow?: number | undefined
  /** Findings after which the target is left. */
  readonly most?: number | undefined
  /** Told before each input. */
  readonly onInput?: ((index: number) => void) | undefined
  /** Runs the garbage collector; without it heap is not measured. */
  readonly collect?: (() => void) | undefined
}

export interface Outcome {
  readonly inputs: number
  readonly seconds: number
  readonly findings: ReadonlyArray<Finding>
  /** Growth of the heap from the first tenth of the inputs to the end, in bytes. */
  readonly growth: number
}

/** Heap that a target may take for what it learns: compiled functions, interned strings, caches with a bound. */
const GROWTH = 24 * 1024 * 1024
const SLOW = 1000

export const input = (target: Target, seed: number, index: number): string =>
  target.make(Random.make(Random.seedOf(seed, target.name, index)))

export const run = async (target: Target, options: Options): Promise<Outcome> => {
  const { collect, from, inputs, most = 5, onInput, seed, slow = SLOW } = options
  const findings: Array<Finding> = []
  const begun = performance.now()
  const warm = from + Math.min(100_000, Math.ceil(inputs / 10))
  let before = 0
  let index = from
  const found = (kind: Finding["kind"], text: string, error: string): void =>
    void findings.push({ target: target.name, seed, index, kind, input: text, error })
  for (; index < from + inputs && findings.length < most; index++) {
    onInput?.(index)
    if (index === warm) before = await heap(collect)
    const text = input(target, seed, index)
    const start = performance.now()
    try {
      const running = target.run(text)
      if (running !== undefined) await running
    } catch (error) {
      found("crash", text, error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    const took = performance.now() - start
    // on a busy machine once is by chance
    if (took > slow && (await again(target, text)) > slow) found("slow", text, `${Math.round(took)} ms`)
    // lets timers and what waits for the loop go on
    if (index % 4096 === 0) await turn()
  }
  const growth = collect === undefined || before === 0 ? 0 : (await heap(collect)) - before
  if (growth > GROWTH) found("leak", "", `the heap has grown by ${growth} bytes over ${inputs} inputs`)
  return { inputs: index - from, seconds: (performance.now() - begun) / 1000, findings, growth }
}

/** The shorter of two more tries, in milliseconds. */
const again = async (target: Target, text: string): Promise<number> => {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 2; i++) {
    const start = performance.now()
    try {
      await target.run(text)
    } catch {
      // a finding of its own already
    }
    best = Math.min(best, performance.now() - start)
  }
  return best
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

const heap = async (collect: (() => void) | undefined): Promise<number> => {
  if (collect === undefined) return 0
  // handles of zlib are closed in a later turn
  for (let i = 0; i < 4; i++) {
    await turn()
    collect()
  }
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}
