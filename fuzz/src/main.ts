/**
 * `npm run fuzz -- [TARGET...] [--inputs N] [--seed N] [--from N] [--jobs N] [--keep] [--list]`: N inputs in total, shared out among the targets. Ends with
 * a line a target and with 1 when anything was found; `--keep` adds it to the corpus. The same seed gives the same inputs.
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import * as Corpus from "./Corpus.ts"
import * as Runner from "./Runner.ts"
import type { Target } from "./Target.ts"
import { targets } from "./targets/all.ts"
import type { Task } from "./worker.ts"

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Time without progress after which a target hangs, in milliseconds. */
const HANG = 30_000

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    jobs: { type: "string", default: String(availableParallelism()) },
    keep: { type: "boolean", default: false },
    list: { type: "boolean", default: false }
  }
})

if (values.list) {
  for (const { law, name } of targets) say(`${name.padEnd(20)} ${law}`)
  process.exit(0)
}
const unknown = positionals.filter((name) => !targets.some((target) => target.name === name))
if (unknown.length > 0) {
  say(`no such target: ${unknown.join(", ")}; --list names them`)
  process.exit(2)
}
const [inputs, seed, from, jobs] = [values.inputs, values.seed, values.from, values.jobs].map(Number) as [number, number, number, number]
const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const shares = chosen.reduce((sum, { share = 1 }) => sum + share, 0)

/** The input that a thread was at, for the report; making it may be what failed. */
const inputOf = (target: Target, index: number): string => {
  try {
    return Runner.input(target, seed, index)
  } catch {
    return ""
  }
}

/** Runs a target in a thread; a thread that makes no progress is stopped and its input is the finding. */
const fuzz = (target: Target): Promise<Runner.Outcome> =>
  new Promise((resolve, reject) => {
    const progress = new Int32Array(new SharedArrayBuffer(4))
    const count = Math.ceil((inputs * (target.share ?? 1)) / shares)
    const task: Task = { target: target.name, seed, from, inputs: count, progress }
    const begun = performance.now()
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: task })
    let last = -1
    const failed = (kind: "hang" | "crash", error: string): void => {
      const index = Atomics.load(progress, 0)
      const finding: Runner.Finding = { target: target.name, seed, index, kind, input: inputOf(target, index), error }
      resolve({ inputs: index - from, seconds: (performance.now() - begun) / 1000, findings: [finding], growth: 0 })
    }
    const watch = setInterval(() => {
      const index = Atomics.load(progress, 0)
      if (index !== last) return void (last = index)
      clearInterval(watch)
      worker.terminate().then(() => failed("hang", `no progress for ${HANG} ms`), reject)
    }, HANG)
    worker.once("message", resolve)
    // thrown behind the back of the target: in a callback of its own, or for want of memory
    worker.once("error", (error: Error) => failed("crash", error.stack ?? error.message))
    worker.once("exit", () => clearInterval(watch))
  })

let total = 0
let found = 0
const queue = [...chosen]
const work = async (): Promise<void> => {
  for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
    const { findings, growth, inputs: done, seconds } = await fuzz(target)
    total += done
    found += findings.length
    const rate = Math.round(done / seconds)
    say(
      `${target.name.padEnd(20)} ${String(done).padStart(9)} inputs ${seconds.toFixed(1).padStart(7)} s ${String(rate).padStart(8)}/s  heap ${(growth / 1048576).toFixed(1).padStart(5)} MiB  ${findings.length} findings`
    )
    for (const { error, index, input, kind } of findings) {
      say(
        `  ${kind} at --seed ${seed} --from ${index}: ${JSON.stringify(input.slice(0, 200))}\n    ${error.split("\n").slice(0, 6).join("\n    ")}`
      )
      if (values.keep && kind !== "leak") Corpus.add(target.name, { input, was: `${kind}: ${error.split("\n")[0]!}`.slice(0, 200) })
    }
  }
}
await Promise.all(Array.from({ length: Math.max(1, jobs) }, work))
say(`${total} inputs, ${found} findings`)
process.exitCode = found === 0 ? 0 : 1
