/** What the codecs share: on a line such as `{"seconds":1}` they write and read the message that long, and print how often and what the bytes are. */
import * as readline from "node:readline"

/** Trips between two looks at the clock. */
const BATCH = 500

/** `there` writes the message, `back` reads it and answers with one of its fields, so that nothing is left out. */
export const serve = (there: () => Uint8Array, back: (bytes: Uint8Array) => string): void => {
  const lines = readline.createInterface({ input: process.stdin })
  lines.on("line", (line) => {
    const { seconds } = JSON.parse(line) as { seconds: number } // written by `Codec.ts`
    const expected = back(there())
    const cpu = process.cpuUsage()
    const start = performance.now()
    let trips = 0
    let now = start
    while (now - start < seconds * 1000) {
      for (let i = 0; i < BATCH; i++) if (back(there()) !== expected) throw new Error("another message came back")
      trips += BATCH
      now = performance.now()
    }
    const { system, user } = process.cpuUsage(cpu)
    const bytes = Buffer.from(there()).toString("base64")
    process.stdout.write(`${JSON.stringify({ trips, seconds: (now - start) / 1000, cpuSeconds: (user + system) / 1e6, bytes })}\n`)
  })
  lines.on("close", () => process.exit(0))
  process.stdout.write(`{"ready":1}\n`)
}
