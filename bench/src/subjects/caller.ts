/**
 * What the clients share: on a line such as `{"inFlight":50,"seconds":1}` of standard input they make calls, that many at a time, and print how many were
 * answered in how many seconds of the clock and of their own CPU. A wrong reply ends the process.
 */
import * as readline from "node:readline"

/** The port of the server. */
export const port = Number(process.argv[2])

/** Calls before the timed part, in milliseconds. */
const SETTLE = 200

export interface Run {
  /** False once no more calls are to be made. */
  readonly going: () => boolean
  /** A call was answered. */
  readonly answered: (message: string | undefined) => void
  /** A call failed. */
  readonly failed: (cause: unknown) => void
}

/** Serves the lines; `calls` begins that many calls at once, each of which is followed by another as long as the run is going. */
export const serve = (calls: (inFlight: number, run: Run) => void): void => {
  const lines = readline.createInterface({ input: process.stdin })
  lines.on("line", (line) => {
    const { inFlight, seconds } = JSON.parse(line) as { inFlight: number; seconds: number } // written by `Client.ts`
    let answered = 0
    let going = true
    const failed = (cause: unknown): never => {
      process.stderr.write(`${String(cause)}\n`)
      process.exit(1)
    }
    const read = () => ({ answered, at: performance.now(), cpu: process.cpuUsage() })
    setTimeout(() => {
      const before = read()
      setTimeout(() => {
        const after = read()
        going = false
        const cpuSeconds = (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1e6
        const report = { calls: after.answered - before.answered, seconds: (after.at - before.at) / 1000, cpuSeconds }
        // the calls in flight end before the next line comes
        setTimeout(() => process.stdout.write(`${JSON.stringify(report)}\n`), 50)
      }, seconds * 1000)
    }, SETTLE)
    calls(inFlight, {
      going: () => going,
      answered: (message) => {
        if (message !== "Hello kratos") failed(`answered ${message}`)
        answered++
      },
      failed
    })
  })
  lines.on("close", () => process.exit(0))
  process.stdout.write(`{"ready":1}\n`)
}

/** The same for clients whose calls are promises. */
export const servePromises = (call: () => Promise<{ readonly message: string }>): void =>
  serve((inFlight, run) => {
    const worker = async () => {
      while (run.going()) run.answered((await call()).message)
    }
    for (let i = 0; i < inFlight; i++) worker().catch(run.failed)
  })
