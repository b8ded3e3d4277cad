/** The programs as a person meets them: the printed lines work as they are, and so does the tour. */
import { afterEach, assert, it } from "@effect/vitest"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../..", import.meta.url))

let server: ChildProcess | undefined
afterEach(() => {
  server?.kill("SIGKILL")
})

const freePort = async (): Promise<string> => {
  const probe = createServer().listen(0, "0.0.0.0")
  await once(probe, "listening")
  const address = probe.address()
  probe.close()
  await once(probe, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return String(address.port)
}

/** Starts the server; resolves with what it printed once it has said everything. */
const start = (port: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    const child = spawn(process.execPath, ["examples/aspects/src/main.ts"], {
      cwd: root,
      env: { ...process.env, PORT: port, NO_COLOR: "1" }
    })
    server = child
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      if (text.includes("Ctrl-C")) resolve(text)
    })
    child.once("close", (code) => reject(new Error(`the server ended with ${code}:\n${text}`)))
  })

const shell = (line: string, env: Readonly<Record<string, string>> = {}) =>
  spawnSync("bash", ["-c", line], { cwd: root, env: { ...process.env, ...env }, encoding: "utf8", timeout: 60_000 })

it("prints lines that work as they are, and ends with 0 at SIGTERM", async () => {
  const port = await freePort()
  const text = await start(port)
  const lines = [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line ?? "")
  const outputs = [
    /^\{"id":"1","customer":"ada","item":"tea","quantity":2\}$/,
    /^\{"code":400,"reason":"VALIDATOR","message":"item: .*; quantity: .*\}$/,
    /^\{"code":409,"reason":"OUT_OF_STOCK",.*"stock":"50".*\}$/,
    /^\{"code":500,"reason":"UNKNOWN","message":"unknown request error","metadata":\{\}\}$/,
    /^\{"code":401,"reason":"UNAUTHORIZED","message":"JWT token is missing","metadata":\{\}\}$/,
    /^event: message\ndata: \{"id":"1","customer":"ada","item":"tea","quantity":2\}$/,
    /http_server_request_duration_seconds_count\{[^}]*http_route="\/v1\/orders"[^}]*\} [1-9]/,
    /ada: one that is wrong +400 VALIDATOR fields item, quantity\n[^]*429 RATELIMIT again in \d+ ms\neve: place an order +403 FORBIDDEN$/
  ]
  assert.strictEqual(lines.length, outputs.length, lines.join("\n"))
  for (const [index, output] of outputs.entries()) {
    const line = lines[index] ?? ""
    const { status, stderr, stdout } = shell(line)
    assert.strictEqual(status, 0, `${line}\n${stderr}`)
    assert.match(stdout.trimEnd(), output, line)
  }
  const exit = once(server!, "close")
  server!.kill("SIGTERM")
  assert.deepStrictEqual((await exit)[0], 0)
})
