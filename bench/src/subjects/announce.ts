/** What every subject does once it listens: say its port on stdout as one line of JSON, tell its heap when asked, and leave when its parent does. */
import type { AddressInfo } from "node:net"

/** Prints the port and ties the life of the process to its standard input, which closes even when the parent is killed. */
export const announce = (address: number | string | AddressInfo | null): void => {
  const port = typeof address === "number" ? address : typeof address === "object" && address !== null ? address.port : undefined
  if (port === undefined) throw new Error("the subject does not listen on a TCP port")
  process.stdout.write(`${JSON.stringify({ port })}\n`)
  process.stdin.on("end", () => process.exit(0))
  process.stdin.on("data", (line) => {
    if (String(line).trim() !== "heap") return
    globalThis.gc?.() // there with --expose-gc
    process.stdout.write(`${JSON.stringify({ heap: process.memoryUsage().heapUsed })}\n`)
  })
}
