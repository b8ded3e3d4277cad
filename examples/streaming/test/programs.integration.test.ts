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
    const child = spawn(process.execPath, ["examples/streaming/src/main.ts"], {
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
  // curl -m goes away by itself, which it calls an error
  const outputs: ReadonlyArray<readonly [RegExp, number]> = [
    [/^\{"sensor":"steady","sequence":0,"value":0\}$/, 0],
    [/^event: message\ndata: \{"sensor":"steady","sequence":0,"value":0\}\n\nevent: message/, 28],
    [/"sequence":2,"value":0.2\}\n\nevent: error\ndata: \{"code":503,"reason":"SENSOR_LOST"/, 0],
    [/watch, five values +0.00 0.10 0.20 0.30 0.39\n[^]*smooth +0.00 5.00 7.50 8.75$/, 0]
  ]
  assert.strictEqual(lines.length, outputs.length, lines.join("\n"))
  for (const [index, [output, code]] of outputs.entries()) {
    const line = lines[index] ?? ""
    const { status, stderr, stdout } = shell(line)
    assert.strictEqual(status, code, `${line}\n${stderr}`)
    assert.match(stdout.trimEnd(), output, line)
  }
  const exit = once(server!, "close")
  server!.kill("SIGTERM")
  assert.deepStrictEqual((await exit)[0], 0)
})

it("says in one line that no service is running, or that the port is none", async () => {
  const call = "npm run --silent call -w examples/streaming"
  const alone = shell(call, { PORT: await freePort() })
  assert.deepStrictEqual([alone.status, alone.stdout], [1, ""])
  assert.match(alone.stderr, /^cannot connect to \S+: .*"npm start -w examples\/streaming".*\n$/)
  for (const script of [call, "npm start --silent -w examples/streaming"]) {
    const wrong = shell(script, { PORT: "abc" })
    assert.deepStrictEqual([wrong.status, wrong.stdout], [1, ""], script)
    assert.match(wrong.stderr, /^bad configuration: .*PORT.*\n$/, script)
  }
})
