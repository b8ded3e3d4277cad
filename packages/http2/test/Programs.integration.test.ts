import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { promisify } from "node:util"
import { HeaderBlock } from "../src/HeaderBlock.ts"
import { ServerConnection } from "../src/ServerConnection.ts"
import type { Stream, StreamListener } from "../src/Stream.ts"

const run = promisify(execFile)

/** Whether a program is installed; where a test is skipped, its name says what is missing. */
const has = (program: string): boolean => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0
const withProgram = (program: string) =>
  has(program) ? it : (name: string, _test: () => Promise<void>) => it.skip(`${name} (needs ${program})`, () => {})

const head = HeaderBlock.make([
  [":status", "200"],
  ["content-type", "text/plain"]
])

/** Echoes the body; a request without one gets a greeting. */
const echo = (stream: Stream, endStream: boolean): StreamListener => {
  const chunks: Array<Uint8Array> = []
  const answer = (): void => {
    stream.respond(head, chunks.length === 0 ? Buffer.from("hello") : Buffer.concat(chunks), undefined)
  }
  if (endStream) answer()
  return {
    onData: (data, end) => {
      chunks.push(Uint8Array.from(data))
      stream.consumed(data.length)
      if (end) answer()
    },
    onTrailers: answer,
    onAbort: () => {}
  }
}

describe("a server on a socket", () => {
  let port = 0

  beforeAll(async () => {
    const server = net.createServer((socket) => {
      ServerConnection.make(socket, { onStream: (stream, _headers, endStream) => echo(stream, endStream) })
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    assert.isTrue(typeof address === "object" && address !== null)
    port = (address as net.AddressInfo).port
    return () => server.close()
  })

  withProgram("curl")("curl gets and posts 10 MiB", async () => {
    const url = `http://127.0.0.1:${port}/`
    const flags = ["-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}"]
    assert.strictEqual((await run("curl", [...flags, url])).stdout, "hello2 200")
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "http2-curl-"))
    const [sent, got] = [path.join(folder, "sent"), path.join(folder, "got")]
    await fs.writeFile(sent, Buffer.alloc(10 << 20, "0123456789abcdef!"))
    await run("curl", [...flags, "--data-binary", `@${sent}`, "-o", got, url])
    assert.isTrue((await fs.readFile(got)).equals(await fs.readFile(sent)))
    await fs.rm(folder, { recursive: true })
  })

  withProgram("h2load")("h2load: every request succeeds, over many connections and streams", async () => {
    const file = path.join(os.tmpdir(), `http2-h2load-${process.pid}`)
    await fs.writeFile(file, Buffer.alloc(200_000, "x"))
    for (const [total, load] of [
      [20_000, ["-c10", "-m10"]],
      [20_000, ["-c1", "-m100"]],
      [5000, ["-c50", "-m1"]],
      // echoes 200 kB over windows of 1 KiB
      [400, ["-c4", "-m20", "-w10", "-d", file]]
    ] as const) {
      const { stdout } = await run("h2load", [...load, "-n", `${total}`, `http://127.0.0.1:${port}/`])
      assert.include(stdout, `${total} succeeded, 0 failed, 0 errored`, stdout)
    }
    await fs.rm(file)
  })

  withProgram("h2spec")("h2spec --strict finds nothing", async () => {
    const { stdout } = await run("h2spec", ["-h", "127.0.0.1", "-p", `${port}`, "--strict", "-o", "2"]).catch(
      (error: { stdout: string }) => error
    )
    assert.match(stdout, /(\d+) tests, \1 passed, 0 skipped, 0 failed/)
  })
})
